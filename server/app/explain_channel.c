/* explain_channel.c - what may a token do with a channel? access.h decides. */
#include <stdio.h>

#include "server/app/explain_private.h"
#include "server/core/access.h"

void append_entry(struct explanation *answer, const char *list, size_t index)
{
    char key[64], source[512];
    snprintf(key, sizeof key, "%s[%zu]", list, index);
    buf_appendf(answer->out, "%s: %s", option_source_text(&options_table, answer->sources, key, source), key);
}

void append_quoted(struct buf *out, struct str text)
{
    char quoted[ERROR_QUOTE_LEN];
    buf_append(out, str_from_cstr(error_quote(text, quoted)));
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

bool explain_channel(struct explanation *answer, struct str channel, const struct claims *claims, unsigned actions)
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
        if (!(actions & action))
            continue;
        bool good = access_check(rules, channel, claims, (enum allow)action, &error) == ERR_NONE;
        buf_appendf(answer->out, "  %s: %s%s\n", allow_word((enum allow)action),
                    good ? "allowed" : "refused: ", good ? "" : error.text);
        allowed = allowed || good;
    }
    return allowed;
}
