/* access.c - see access.h. */
#include "server/core/access.h"

#include "common/base/alloc.h"

static struct rule_index *index_patterns(const struct rules *rules)
{
    struct str *patterns = xcalloc(rules->count + 1, sizeof *patterns);
    for (size_t i = 0; i < rules->count; i++)
        patterns[i] = rules->rule[i].match;
    struct rule_index *index = rule_index_create(patterns, rules->count);
    free(patterns);
    return index;
}

struct rules *rules_create(const struct rule *rule, size_t count)
{
    static _Atomic uint64_t versions;
    size_t text_len = 0;
    for (size_t i = 0; i < count; i++)
        text_len += rule[i].match.len + rule[i].require_scope.len;
    struct rules *rules = xmalloc(sizeof *rules + count * sizeof *rule + text_len);
    char *text = (char *)&rules->rule[count];
    atomic_init(&rules->refs, 1);
    rules->version = atomic_fetch_add_explicit(&versions, 1, memory_order_relaxed) + 1;
    rules->count = count;
    for (size_t i = 0; i < count; i++) {
        rules->rule[i] = rule[i];
        struct str *texts[] = {&rules->rule[i].match, &rules->rule[i].require_scope};
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
            if (texts[t]->len)
                memcpy(text, texts[t]->ptr, texts[t]->len);
            texts[t]->ptr = text;
            text += texts[t]->len;
        }
    }
    rules->index = index_patterns(rules);
    return rules;
}

struct rules *rules_ref(struct rules *rules)
{
    atomic_fetch_add_explicit(&rules->refs, 1, memory_order_relaxed);
    return rules;
}

void rules_unref(struct rules *rules)
{
    if (!rules || atomic_fetch_sub_explicit(&rules->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(rules->index);
    free(rules);
}

static bool equal(const struct rule *a, const struct rule *b)
{
    return str_eq(a->match, b->match) && a->require_grant == b->require_grant &&
           str_eq(a->require_scope, b->require_scope) && a->allow == b->allow && a->history.size == b->history.size &&
           a->history.ttl_ms == b->history.ttl_ms && a->presence.kept == b->presence.kept &&
           a->presence.events == b->presence.events && a->presence.ttl_ms == b->presence.ttl_ms &&
           a->publisher == b->publisher && a->verify_sender == b->verify_sender;
}

bool rules_equal(const struct rules *a, const struct rules *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = equal(&a->rule[i], &b->rule[i]);
    return same;
}

static bool look_up_claim(void *claims, struct str name, struct str *out)
{
    return claims_text(claims, name, out);
}

static bool covers(struct str pattern, struct str channel, const struct claims *claims)
{
    return pattern_matches(pattern, channel, look_up_claim, (void *)(uintptr_t)claims);
}

const struct rule *access_rule(const struct rules *rules, struct str channel, const struct claims *claims)
{
    struct rule_walk walk;
    size_t i;
    rule_walk_begin(&walk, rules->index, channel);
    while (rule_walk_next(&walk, &i))
        if (covers(rules->rule[i].match, channel, claims))
            return &rules->rule[i];
    return NULL;
}

struct keeping rules_keeping(const struct rules *rules, struct str channel)
{
    const struct rule *found = NULL;
    enum pattern_fit found_fit = PATTERN_APART;
    struct rule_walk walk;
    size_t i;
    rule_walk_begin(&walk, rules->index, channel);
    while (found_fit != PATTERN_FITS && rule_walk_next(&walk, &i)) {
        const struct rule *rule = &rules->rule[i];
        enum pattern_fit fit = pattern_fits(rule->match, channel);
        if (fit == PATTERN_APART || (found && pattern_literals(rule->match) <= pattern_literals(found->match)))
            continue;
        found = rule;
        found_fit = fit;
    }
    return found ? (struct keeping){found->history, found->presence, found->publisher, found->verify_sender}
                 : (struct keeping){0};
}

static unsigned granted(const struct claims *claims, struct str channel)
{
    unsigned allow = 0;
    for (size_t i = 0; i < claims->grant_count; i++)
        if (covers(claims->grants[i].match, channel, claims))
            allow |= claims->grants[i].allow;
    return allow;
}

/* What the rule allows. NULL allows nothing. */
static unsigned allowed_by(const struct rule *rule, struct str channel, const struct claims *claims)
{
    if (!rule || (rule->require_scope.len && !claims_has_scope(claims, rule->require_scope)))
        return 0;
    return rule->require_grant ? rule->allow & granted(claims, channel) : rule->allow;
}

unsigned access_allowed(const struct rules *rules, struct str channel, const struct claims *claims)
{
    return allowed_by(access_rule(rules, channel, claims), channel, claims);
}

/* True if a rule fits the name with other claims: the token lacks one of them, or it says something else. */
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
    char own[ERROR_QUOTE_LEN];
    rest = pattern;
    pattern_next_claim(&rest, &name);
    claims_text(claims, name, &text);
    error_quote(text, own);
    struct str further;
    if (pattern_next_claim(&rest, &further)) /* nobody knows which of them is another */
        return error_set(error, ERR_UNAUTHORIZED,
                         "this channel is for other claims than this token's: %s, or another one of its rule",
                         error_quote(name, quoted));
    if (str_eq_cstr(name, "sub"))
        return error_set(error, ERR_UNAUTHORIZED, "this is another user's channel; this token is for %s", own);
    return error_set(error, ERR_UNAUTHORIZED, "this channel is for another %s; this token has %s",
                     error_quote(name, quoted), own);
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

/* Says why access is denied, and what to do about it. rule decided; NULL: no rule matches with these claims. The text
 * goes to the client. It names rights and claims. It never shows what tokens or channels of others hold. */
static enum err refuse(const struct rules *rules, const struct rule *rule, struct str channel,
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

enum err access_check(const struct rules *rules, struct str channel, const struct claims *claims, enum allow wanted,
                      struct error *error)
{
    const struct rule *rule = access_rule(rules, channel, claims);
    return allowed_by(rule, channel, claims) & wanted ? ERR_NONE : refuse(rules, rule, channel, claims, wanted, error);
}
