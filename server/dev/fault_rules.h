/* fault_rules.h - an ordered list of rules: which messages and connections a fault happens to. The first rule that
 * matches acts, and no other. Pure. One thread. */
#ifndef CARILLON_DEV_FAULT_RULES_H
#define CARILLON_DEV_FAULT_RULES_H

#include "common/base/list.h"
#include "server/dev/fault_action.h"
#include "server/dev/frame_facts.h"

enum { FAULT_RULES_MAX = 1000, FAULT_RULE_BYTES = 65536, FAULT_RULE_ID_LEN = 23 };

/* What a rule looks at. The texts are borrowed. */
struct fault_subject {
    enum fault_where at;
    struct str user;
    struct str session; /* its uuid */
    const struct frame_facts *facts;
};

/* The texts lie in the rule. */
struct fault_rule {
    struct list_link link;
    uint64_t number; /* of its id */
    char id[FAULT_RULE_ID_LEN + 1];
    enum fault_where at;
    struct str type, channel, user, session; /* empty: any */
    struct json_value data;                  /* absent: any */
    uint64_t nth;                            /* acts from the nth message on that matches all else */
    uint64_t times;                          /* that are left; UINT64_MAX: without end */
    uint64_t seen;                           /* messages that match all else */
    uint64_t hits;                           /* how often it has acted */
    struct fault_action *action;             /* one reference */
    struct buf match;                        /* as it was given */
    struct buf comment;                      /* as JSON; empty: none */
    struct buf texts;
};

struct fault_rules {
    struct list_link list; /* struct fault_rule */
    size_t count;
    uint64_t last; /* number of the last one */
};

void fault_rules_init(struct fault_rules *rules);
void fault_rules_fini(struct fault_rules *rules);

/* Reads {"match":{…},"action":{…},"times":1,"comment":"…"}, and adds the rule as the last one. ERR_INVALID_REQUEST
 * names the member, and says what is possible. ERR_TOO_LARGE: the text is over FAULT_RULE_BYTES. ERR_RATE_LIMITED:
 * there are as many rules as there may be. *out is valid until the rule is removed. */
enum err fault_rules_add(struct fault_rules *rules, struct str json, struct fault_rule **out, struct error *error);
/* A rule for the next messages of one session, before all others. Takes a reference to the action, which is
 * ON_MESSAGE. */
enum err fault_rules_add_for_session(struct fault_rules *rules, struct str session, struct fault_action *action,
                                     struct fault_rule **out, struct error *error);
struct fault_rule *fault_rules_find(const struct fault_rules *rules, struct str id);
void fault_rules_remove(struct fault_rules *rules, struct fault_rule *rule);
/* Removes all. */
void fault_rules_empty(struct fault_rules *rules);
/* The same, and the next rule is r1 again. */
void fault_rules_rewind(struct fault_rules *rules);

/* The rule that acts on the subject; NULL: none does. Counts what it has seen. Valid until a rule is removed. */
struct fault_rule *fault_rules_match(struct fault_rules *rules, const struct fault_subject *subject);

/* Appends the rule as a JSON object, with its id and hits. */
void fault_rule_print(struct buf *out, const struct fault_rule *rule);
/* Appends [{…},…]: all of them, and with `saved` also how many messages each has seen. */
void fault_rules_print(struct buf *out, const struct fault_rules *rules, bool saved);

/* Fills *out, which is empty, from a list that fault_rules_print has saved. After an error *out is empty. */
enum err fault_rules_read(struct fault_rules *out, struct json_value list, struct error *error);
/* Moves the rules of `with` here, in place of those that are here. */
void fault_rules_replace(struct fault_rules *rules, struct fault_rules *with);

#endif
