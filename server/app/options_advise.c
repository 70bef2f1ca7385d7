/* options_advise.c - what is allowed, but may be meant otherwise: said by `carillon check` alone. */
#include "common/protocol/channel_name.h"
#include "server/app/options_verdict.h"

/* A claim that holds a ':' reaches into what the rest of the pattern stands for. */
static void advise_open_end(struct verdict *verdict, size_t index, struct str match)
{
    struct str rest = match, first, second;
    char key[VERDICT_KEY_LEN], claim[ERROR_QUOTE_LEN], pattern[ERROR_QUOTE_LEN];
    if (!pattern_next_claim(&rest, &first) ||
        (!memchr(match.ptr, '*', match.len) && !pattern_next_claim(&rest, &second)))
        return;
    verdict_note(
        verdict, key_in_list(key, "channels", index, "match"),
        "in %s nothing says where the claim %s ends: who has \"a\" there also has channels of who has \"a:b\". "
        "See that this claim never holds a ':', or use a pattern without '*' and with one claim",
        error_quote(match, pattern), error_quote(first, claim));
}

static void advise_dots(struct verdict *verdict, size_t index, struct str match)
{
    struct str rest = match, name;
    char key[VERDICT_KEY_LEN], claim[ERROR_QUOTE_LEN];
    while (pattern_next_claim(&rest, &name))
        if (memchr(name.ptr, '.', name.len))
            verdict_note(verdict, key_in_list(key, "channels", index, "match"),
                         "%s is one claim of that name at the top of the token, not a path into another claim",
                         error_quote(name, claim));
}

/* Settings that do nothing, because another one is missing. */
static void advise_without_effect(struct verdict *verdict, size_t index, const struct channel_options *channel)
{
    char key[VERDICT_KEY_LEN];
    if (channel->presence_events && !channel->presence)
        verdict_note(verdict, key_in_list(key, "channels", index, "presence_events"),
                     "does nothing without \"presence\": true");
    if (channel->history_ttl_ms && !channel->history_size)
        verdict_note(verdict, key_in_list(key, "channels", index, "history.ttl"),
                     "keeps no event without history.size");
}

/* Without a list of endpoints there is one, for commands. */
static bool uses_channels(const struct options *options)
{
    bool uses = options->endpoints.count == 0;
    for (size_t i = 0; i < options->endpoints.count; i++) {
        const struct endpoint_options *endpoint = &options->endpoints.items[i];
        uses = uses || endpoint->text == ENDPOINT_USE_COMMANDS || endpoint->binary == ENDPOINT_USE_COMMANDS ||
               endpoint->subscribe.count > 0;
    }
    return uses;
}

void options_advise(const struct options *options, const struct option_sources *sources, struct buf *messages)
{
    struct verdict verdict = {.options = options, .sources = sources, .messages = messages};
    advise_endpoints(&verdict);
    if (options->channels.count == 0 && uses_channels(options))
        verdict_note(&verdict, "channels",
                     "there is no rule, so no client may use any channel; a rule is such as "
                     "{\"match\": \"user:{sub}\", \"allow\": [\"subscribe\"]}");
    for (size_t i = 0; i < options->channels.count; i++) {
        struct str match = str_from_cstr(options->channels.items[i].match);
        advise_open_end(&verdict, i, match);
        advise_dots(&verdict, i, match);
        advise_without_effect(&verdict, i, &options->channels.items[i]);
    }
}
