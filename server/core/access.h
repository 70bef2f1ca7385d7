/* access.h - who may do what with which channel. The rules of the configuration and the grants of a token decide. The
 * first rule that matches counts. A channel that no rule matches is denied. Pure. Rules are immutable, and any thread
 * may read them. */
#ifndef CARILLON_CORE_ACCESS_H
#define CARILLON_CORE_ACCESS_H

#include <stdatomic.h>

#include "common/protocol/channel_name.h"
#include "common/token/claims.h"
#include "server/core/publication.h"
#include "server/core/rule_index.h"

/* One entry of "channels". The texts belong to the rules. */
struct rule {
    struct str match;         /* pattern; {claim} is filled from the token */
    bool require_grant;       /* the token's "channels" claim must cover the channel too */
    struct str require_scope; /* empty: none */
    unsigned allow;           /* enum allow */
    struct history_policy history;
    struct presence_policy presence;
};

/* Shared by all threads; counted. */
struct rules {
    atomic_uint refs;
    struct rule_index *index; /* of their patterns */
    size_t count;
    struct rule rule[];
};

/* Copies the rules and their texts. One reference. */
struct rules *rules_create(const struct rule *rule, size_t count);
struct rules *rules_ref(struct rules *rules);
void rules_unref(struct rules *rules);
/* The same rules in the same order: nothing that follows from them can differ. */
bool rules_equal(const struct rules *a, const struct rules *b);

/* How a channel is kept. */
struct keeping {
    struct history_policy history;
    struct presence_policy presence;
};

/* The history and presence of a channel. Its events come from many publishers, from backends and from other nodes, so
 * the channel's name alone decides. The first rule that fits the name, with any text for each {claim}, has the answer.
 * A rule that fits only with a ':' in such a text gives way to a later one with more literal text ("user:{sub}:inbox"
 * after "user:{sub}"). Each channel that a token allows fits some rule. A channel that no rule fits has no history and
 * no presence. */
struct keeping rules_keeping(const struct rules *rules, struct str channel);

/* The rights of this token on this channel, a set of enum allow. The first rule that matches with the token's claims
 * decides. */
unsigned access_allowed(const struct rules *rules, struct str channel, const struct claims *claims);

/* May it do that, one of enum allow? If not, ERR_UNAUTHORIZED with a text for the client: what is missing (a rule, a
 * claim, a scope, a grant), and where. */
enum err access_check(const struct rules *rules, struct str channel, const struct claims *claims, enum allow wanted,
                      struct error *error);

#endif
