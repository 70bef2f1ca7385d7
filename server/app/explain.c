/* explain.c - see explain.h. */
#include "server/app/explain.h"

#include "common/base/clock.h"
#include "server/core/access.h"

struct explanation {
    const struct configuration *configuration;
    const struct option_sources *sources;
    const struct question *question;
    struct buf *out;
};

/* "carillon.jsonc:14: channels[0]" */
static void append_entry(struct explanation *answer, const char *list, size_t index)
{
    char key[64], source[512];
    snprintf(key, sizeof key, "%s[%zu]", list, index);
    buf_appendf(answer->out, "%s: %s", option_source_text(&options_table, answer->sources, key, source), key);
}

/* Texts of clients and tokens, made printable. */
static void append_quoted(struct buf *out, struct str text)
{
    char quoted[ERROR_QUOTE_LEN];
    buf_append(out, str_from_cstr(error_quote(text, quoted)));
}

/* NULL: the token is refused. */
static struct claims *explain_token(struct explanation *answer)
{
    const struct question *question = answer->question;
    struct claims *claims = NULL;
    struct error error;
    char until[CLOCK_RFC3339_LEN + 1];
    enum reason reason = token_verify(answer->configuration->keys, &answer->configuration->net->policy, question->token,
                                      question->now_ms, &claims, &error);
    if (reason != REASON_NONE) {
        buf_appendf(answer->out, "token: refused: %s: %s\n", reason_text(reason), error.text);
        return NULL;
    }
    buf_append_lit(answer->out, "token: good");
    if (claims->sub.len > 0) {
        buf_append_lit(answer->out, ", of user ");
        append_quoted(answer->out, claims->sub);
    }
    if (claims->exp_ms > 0) {
        clock_format(claims->exp_ms, until);
        buf_appendf(answer->out, ", until %s", until);
    }
    buf_append_char(answer->out, '\n');
    return claims;
}

/* The first rule that would match with other claims. */
static void append_rule_of_others(struct explanation *answer, struct str channel)
{
    const struct rules *rules = answer->configuration->rules;
    size_t i = 0;
    while (i < rules->count && pattern_fits(rules->rule[i].match, channel) == PATTERN_APART)
        i++;
    if (i < rules->count) {
        buf_append_lit(answer->out, "; with other claims this one would: ");
        append_entry(answer, "channels", i);
        buf_appendf(answer->out, ", \"match\": \"%.*s\"", STR_ARG(rules->rule[i].match));
    }
    buf_append_char(answer->out, '\n');
}

static bool explain_channel(struct explanation *answer, struct str channel, const struct claims *claims)
{
    const struct rules *rules = answer->configuration->rules;
    struct error error;
    bool allowed = false;
    buf_append_lit(answer->out, "channel ");
    append_quoted(answer->out, channel);
    if (channel_check(channel, &error) != ERR_NONE) {
        buf_appendf(answer->out, ": refused: %s\n", error.text);
        return false;
    }
    const struct rule *rule = access_rule(rules, channel, claims);
    buf_append_lit(answer->out, ": ");
    if (rule) {
        append_entry(answer, "channels", (size_t)(rule - rules->rule));
        buf_appendf(answer->out, " decides, \"match\": \"%.*s\"\n", STR_ARG(rule->match));
    } else {
        buf_append_lit(answer->out, "no rule matches with this token");
        append_rule_of_others(answer, channel);
    }
    for (unsigned action = 1; action < ALLOW_ALL; action <<= 1) {
        bool good = access_check(rules, channel, claims, (enum allow)action, &error) == ERR_NONE;
        buf_appendf(answer->out, "  %s: %s%s\n", allow_word((enum allow)action),
                    good ? "allowed" : "refused: ", good ? "" : error.text);
        allowed = allowed || good;
    }
    return allowed;
}

bool explain(const struct configuration *configuration, const struct option_sources *sources,
             const struct question *question, struct buf *out)
{
    struct explanation answer = {configuration, sources, question, out};
    struct claims *claims = explain_token(&answer);
    bool good = claims != NULL;
    if (claims && question->channel.len > 0)
        good = explain_channel(&answer, question->channel, claims) && good;
    claims_unref(claims);
    return good;
}
