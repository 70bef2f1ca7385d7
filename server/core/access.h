/* access.h - who may do what with which channel. The rules of the configuration and the grants of a token decide. The
 * first rule that matches counts. A channel that no rule matches is denied. Pure. Rules are immutable, and any thread
 * may read them. */
#ifndef CARILLON_CORE_ACCESS_H
#define CARILLON_CORE_ACCESS_H

#include <stdatomic.h>

#include "common/protocol/channel_name.h"
#include "common/token/claims.h"
#include "server/core/request.h"
#include "server/core/rule_index.h"

/* How an event names the client that published it. */
enum publisher_naming {
    PUBLISHER_USER,    /* its verified user, as `user` */
    PUBLISHER_SESSION, /* the id of its session, as `session`; the user is not named */
    PUBLISHER_NONE,
};

/* One entry of "channels". The texts belong to the rules. */
struct rule {
    struct str match;         /* pattern; {claim} is filled from the token */
    bool require_grant;       /* the token's "channels" claim must cover the channel too */
    struct str require_scope; /* empty: none */
    unsigned allow;           /* enum allow */
    struct history_policy history;
    struct presence_policy presence;
    enum publisher_naming publisher;
    bool verify_sender; /* a client's chat_message must have its user as sender_id */
};

/* Counted. All threads share it. */
struct rules {
    atomic_uint refs;
    uint64_t version;         /* greater than that of all rules that were made before */
    struct rule_index *index; /* of their patterns */
    size_t count;
    struct rule rule[];
};

/* Copies the rules and their texts. One reference. */
struct rules *rules_create(const struct rule *rule, size_t count);
struct rules *rules_ref(struct rules *rules);
void rules_unref(struct rules *rules);
/* True for the same rules in the same order. Then nothing that follows from them can differ. */
bool rules_equal(const struct rules *a, const struct rules *b);

/* How a channel is kept. */
struct keeping {
    struct history_policy history;
    struct presence_policy presence;
    enum publisher_naming publisher;
    bool verify_sender;
};

/* How a channel is kept, and what its readers may rely on. The channel's name alone decides, since its events come from
 * many publishers, backends and nodes.
 * - The first rule that fits the name with any text for each {claim} says it.
 * - A rule that fits only with a ':' in such a text gives way to a later, more literal rule. So
 *   "user:{sub}" gives way to "user:{sub}:inbox".
 * - A channel that some token may use has such a rule.
 * - A channel that no rule fits has no history and no presence, and its events name the user. */
struct keeping rules_keeping(const struct rules *rules, struct str channel);

/* The rule that decides what this token may do with this channel. NULL: no rule matches with the token's claims. */
const struct rule *access_rule(const struct rules *rules, struct str channel, const struct claims *claims);

/* What this token may do with this channel: a set of enum allow. The first rule that matches with the token's claims
 * decides. */
unsigned access_allowed(const struct rules *rules, struct str channel, const struct claims *claims);

/* Succeeds if the token may do what is wanted. Otherwise ERR_UNAUTHORIZED with a text for the client. The text says
 * what is missing (a rule, a claim, a scope, a grant), and where. */
enum err access_check(const struct rules *rules, struct str channel, const struct claims *claims, enum allow wanted,
                      struct error *error);

#endif
