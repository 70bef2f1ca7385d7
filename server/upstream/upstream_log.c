/* upstream_log.c - see upstream_log.h. */
#include "server/upstream/upstream_log.h"

#include <stdarg.h>
#include <stdio.h>

void upstream_warn(struct upstream *upstream, uint64_t now_us, const char *format, ...)
{
    unsigned long long count = 0;
    char text[1024], others[80] = "";
    va_list args;
    bool passes = log_limit_passes(&upstream->warnings, now_us, &count);
    enum log_level level = passes ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;
    if (!log_enabled(level))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (count > 1)
        snprintf(others, sizeof others, "; %llu warnings before this one have level debug", count - 1);
    log_write(level, "upstream", "%.*s: %s%s", STR_ARG(upstream->name), text, others);
}
