/* access_refusal.c - see access_refusal.h. */
#include "server/core/access_refusal.h"

/* A rule fits the name, but not with this token's claims: one of them is not there, or says something else. */
static enum err refuse_claim(struct str pattern, const struct claims *claims, struct error *error)
{
    struct str name = STR(""), text, rest = pattern;
    char quoted[ERROR_QUOTE_LEN];
    while (pattern_next_claim(&rest, &name))
        if (!claims_text(claims, name, &text) || text.len == 0)
            return error_set(error, ERR_UNAUTHORIZED,
                             "the rule for this channel needs the claim %s, and the token has none that is a text or a "
                             "whole number; get a token with it",
                             error_quote(name, quoted));
    rest = pattern;
    pattern_next_claim(&rest, &name);
    return error_set(error, ERR_UNAUTHORIZED,
                     "this channel is for tokens whose claim %s is another; use the channel of this token's own",
                     error_quote(name, quoted));
}

static enum err refuse_without_rule(const struct rules *rules, struct str channel, const struct claims *claims,
                                    struct error *error)
{
    struct rule_walk walk;
    size_t i;
    rule_walk_begin(&walk, rules->index, channel);
    while (rule_walk_next(&walk, &i))
        if (pattern_fits(rules->rule[i].match, channel) != PATTERN_APART)
            return refuse_claim(rules->rule[i].match, claims, error);
    return error_set(error, ERR_UNAUTHORIZED,
                     "no rule of the server matches this channel; the server's configuration needs one (channels)");
}

enum err access_refuse(const struct rules *rules, const struct rule *rule, struct str channel,
                       const struct claims *claims, enum allow wanted, struct error *error)
{
    const char *word = allow_word(wanted);
    char quoted[ERROR_QUOTE_LEN];
    if (!rule)
        return refuse_without_rule(rules, channel, claims, error);
    if (!(rule->allow & wanted))
        return error_set(error, ERR_UNAUTHORIZED,
                         "the server's rule for this channel does not allow %s to clients; its \"allow\" needs it",
                         word);
    if (rule->require_scope.len && !claims_has_scope(claims, rule->require_scope))
        return error_set(error, ERR_UNAUTHORIZED,
                         "the rule for this channel needs the scope %s, which the token's claim scope does not have; "
                         "get a token with it",
                         error_quote(rule->require_scope, quoted));
    return error_set(error, ERR_UNAUTHORIZED,
                     "the rule for this channel needs a grant, and none in the token's claim channels covers it for "
                     "%s; get a token with one",
                     word);
}
