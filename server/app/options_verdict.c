/* options_verdict.c - see options_verdict.h. */
#include "server/app/options_verdict.h"

#include <stdio.h>
#include <strings.h>

static void say(struct verdict *verdict, const char *key, const char *kind, const char *format, va_list args)
{
    char source[512];
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    buf_appendf(verdict->messages, "%s: %s: %s%s\n", option_source_text(&options_table, verdict->sources, key, source),
                key, kind, text);
}

void verdict_refuse(struct verdict *verdict, const char *key, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(verdict, key, "", format, args);
    va_end(args);
    verdict->err = ERR_INVALID_REQUEST;
}

void verdict_note(struct verdict *verdict, const char *key, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(verdict, key, "note: ", format, args);
    va_end(args);
}

const char *key_in_list(char out[VERDICT_KEY_LEN], const char *list, size_t index, const char *member)
{
    snprintf(out, VERDICT_KEY_LEN, "%s[%zu]%s%s", list, index, *member ? "." : "", member);
    return out;
}

const char *key_in_map(char out[VERDICT_KEY_LEN], const char *map, const char *name, const char *member)
{
    snprintf(out, VERDICT_KEY_LEN, "%s.%s%s%s", map, name, *member ? "." : "", member);
    return out;
}

const struct upstream_options *find_upstream(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->upstreams.count; i++)
        if (strcmp(options->upstreams.items[i].name, name) == 0)
            return &options->upstreams.items[i];
    return NULL;
}

bool upstream_is_http(const struct upstream_options *upstream)
{
    return strncasecmp(upstream->url, "http", 4) == 0;
}
