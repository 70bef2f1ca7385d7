/* options_advise.c - what is allowed, but may be meant otherwise: said by `carillon check` alone. */
#include <stdio.h>

#include "common/protocol/channel_name.h"
#include "server/app/options.h"

struct advice {
    const struct option_sources *sources;
    struct buf *messages;
};

/* "carillon.jsonc:7: channels: note: [0].match: ..." */
static void note(const struct advice *advice, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void note(const struct advice *advice, const char *key, const char *format, ...)
{
    char source[512];
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_appendf(advice->messages, "%s: %s: note: %s\n",
                option_source_text(&options_table, advice->sources, key, source), key, text);
}

/* A claim that holds a ':' reaches into what the rest of the pattern stands for. */
static void advise_open_end(const struct advice *advice, size_t index, struct str match)
{
    struct str rest = match, first, second;
    char claim[ERROR_QUOTE_LEN], pattern[ERROR_QUOTE_LEN];
    if (!pattern_next_claim(&rest, &first) ||
        (!memchr(match.ptr, '*', match.len) && !pattern_next_claim(&rest, &second)))
        return;
    note(advice, "channels",
         "[%zu].match: in %s nothing says where the claim %s ends: who has \"a\" there also has channels of who has "
         "\"a:b\". "
         "See that this claim never holds a ':', or use a pattern without '*' and with one claim",
         index, error_quote(match, pattern), error_quote(first, claim));
}

static void advise_dots(const struct advice *advice, size_t index, struct str match)
{
    struct str rest = match, name;
    char claim[ERROR_QUOTE_LEN];
    while (pattern_next_claim(&rest, &name))
        if (memchr(name.ptr, '.', name.len))
            note(advice, "channels",
                 "[%zu].match: %s is one claim of that name at the top of the token, not a path into another claim",
                 index, error_quote(name, claim));
}

/* "/chat/:id", "/chat/<id>", "/ws/..." with a '*'. */
static void advise_path(const struct advice *advice, size_t index, struct str path)
{
    char quoted[ERROR_QUOTE_LEN];
    bool place = memchr(path.ptr, '*', path.len) || memchr(path.ptr, '<', path.len);
    for (size_t i = 1; i < path.len; i++)
        place = place || (path.ptr[i] == ':' && path.ptr[i - 1] == '/');
    if (place)
        note(advice, "endpoints", "[%zu].path: %s is literal: no part of a path stands for other text", index,
             error_quote(path, quoted));
}

/* Settings that do nothing, because another one is missing. */
static void advise_without_effect(const struct advice *advice, size_t index, const struct channel_options *channel)
{
    if (channel->presence_events && !channel->presence)
        note(advice, "channels", "[%zu].presence_events: does nothing without \"presence\": true", index);
    if (channel->history_ttl_ms && !channel->history_size)
        note(advice, "channels", "[%zu].history.ttl: keeps no event without history.size", index);
}

void options_advise(const struct options *options, const struct option_sources *sources, struct buf *messages)
{
    const struct advice advice = {.sources = sources, .messages = messages};
    for (size_t i = 0; i < options->endpoints.count; i++)
        advise_path(&advice, i, str_from_cstr(options->endpoints.items[i].path));
    if (options->channels.count == 0)
        note(&advice, "channels",
             "there is no rule, so no client may use any channel; a rule is such as "
             "{\"match\": \"user:{sub}\", \"allow\": [\"subscribe\"]}");
    for (size_t i = 0; i < options->channels.count; i++) {
        struct str match = str_from_cstr(options->channels.items[i].match);
        advise_open_end(&advice, i, match);
        advise_dots(&advice, i, match);
        advise_without_effect(&advice, i, &options->channels.items[i]);
    }
}
