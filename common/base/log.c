/* log.c - see log.h. Bytes that could forge a line or drive a terminal are escaped in both formats. */
#include "common/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

static atomic_int current_level = LOG_LEVEL_INFO;
static atomic_int current_format = LOG_FORMAT_TEXT;

void log_configure(enum log_level level, enum log_format format)
{
    atomic_store(&current_level, (int)level);
    atomic_store(&current_format, (int)format);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

static void append_escaped(struct buf *line, const char *text, bool json)
{
    bool raw_high = str_is_utf8(str_from_cstr(text));
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (json && (*p == '"' || *p == '\\'))
            buf_appendf(line, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7F || (*p >= 0x80 && !raw_high))
            buf_appendf(line, json ? "\\u%04x" : "\\x%02x", *p);
        else
            buf_append_char(line, (char)*p);
    }
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
    static const char *const text_names[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};
    static const char *const json_names[] = {"error", "warn", "info", "debug"};
    if (!log_enabled(level))
        return;
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char stamp[CLOCK_RFC3339_LEN + 1];
    clock_format(clock_wall_ms(), stamp);
    struct buf line = {0};
    if (atomic_load(&current_format) == LOG_FORMAT_JSON) {
        buf_appendf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"module\":\"%s\",\"message\":\"", stamp,
                    json_names[level], module);
        append_escaped(&line, text, true);
        buf_append_lit(&line, "\"}\n");
    } else {
        buf_appendf(&line, "%s %s %s: ", stamp, text_names[level], module);
        append_escaped(&line, text, false);
        buf_append_char(&line, '\n');
    }
    /* A log that cannot be written must not stop the server. */
    ssize_t written = write(STDERR_FILENO, line.ptr, line.len);
    (void)written;
    buf_fini(&line);
}
