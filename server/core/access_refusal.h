/* access_refusal.h - why a token may not do something with a channel, and what to do about it: no rule, a rule that
 * does not allow it, a claim that the rule needs, a scope, a grant. The text goes to the client: it names rights and
 * claims by their names, and never what others' tokens or channels hold. Pure. */
#ifndef CARILLON_CORE_ACCESS_REFUSAL_H
#define CARILLON_CORE_ACCESS_REFUSAL_H

#include "server/core/access.h"

/* rule: the one that decided; NULL: none matches with these claims. wanted: one of enum allow. Returns
 * ERR_UNAUTHORIZED. */
enum err access_refuse(const struct rules *rules, const struct rule *rule, struct str channel,
                       const struct claims *claims, enum allow wanted, struct error *error);

#endif
