/* configure_lifecycle.c - the settings of lifecycle events from the options. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "server/app/configure.h"

/* The stream that the events are sent on from by HTTP, where none is named. */
#define DEFAULT_STREAM "carillon:events"

struct lifecycle_settings *configuration_lifecycle(const struct options *options)
{
    const struct lifecycle_options *o = &options->lifecycle;
    if (!o->types.count)
        return NULL;
    struct str *patterns = xcalloc(o->channels.count + 1, sizeof *patterns);
    for (size_t i = 0; i < o->channels.count; i++)
        patterns[i] = str_from_cstr(o->channels.items[i]);
    struct lifecycle_settings *settings = lifecycle_settings_create(o->channels.count, patterns);
    free(patterns);
    for (size_t i = 0; i < o->types.count; i++)
        for (enum lifecycle_type type = 0; type < LIFECYCLE_COUNT; type++)
            if (str_eq_cstr(str_from_cstr(o->types.items[i]), lifecycle_type_text(type)))
                settings->types |= 1U << type;
    settings->types |= 1U << LIFECYCLE_DROPPED;
    snprintf(settings->stream, sizeof settings->stream, "%s", *o->redis_stream ? o->redis_stream : DEFAULT_STREAM);
    settings->max_len = o->max_len;
    settings->waiting_events = o->waiting_events;
    settings->waiting_bytes = o->waiting_bytes;
    settings->vacated_after_us = o->vacated_after_ms * 1000;
    return settings;
}
