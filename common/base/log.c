/* log.c - see log.h. Both formats escape bytes that could forge a line or drive a terminal. */
#include "common/base/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

static atomic_int current_level = LOG_LEVEL_INFO;
static atomic_int current_format = LOG_FORMAT_TEXT;
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;
static atomic_ullong dropped;
static unsigned long long dropped_told; /* under the mutex: how many of them a line has told of */

/* A pipe takes so many bytes whole or not at all. It always takes them when poll calls it writable (pipe(7), PIPE_BUF).
 */
enum { LINE_MAX_BYTES = 4096, LINE_END_BYTES = 32 };

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
        bool begins_character = *p < 0x80 || *p >= 0xC0 || !raw_high;
        if (begins_character && line->len > LINE_MAX_BYTES - LINE_END_BYTES) {
            buf_append_lit(line, "...");
            return;
        }
        if (json && (*p == '"' || *p == '\\'))
            buf_appendf(line, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7F || (*p >= 0x80 && !raw_high))
            buf_appendf(line, json ? "\\u%04x" : "\\x%02x", *p);
        else
            buf_append_char(line, (char)*p);
    }
}

static void append_line(struct buf *line, enum log_level level, const char *module, const char *text)
{
    static const char *const text_names[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};
    static const char *const json_names[] = {"error", "warn", "info", "debug"};
    char stamp[CLOCK_RFC3339_LEN + 1];
    clock_format(clock_wall_ms(), stamp);
    if (atomic_load(&current_format) == LOG_FORMAT_JSON) {
        buf_appendf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"module\":\"%s\",\"message\":\"", stamp,
                    json_names[level], module);
        append_escaped(line, text, true);
        buf_append_lit(line, "\"}\n");
    } else {
        buf_appendf(line, "%s %s %s: ", stamp, text_names[level], module);
        append_escaped(line, text, false);
        buf_append_char(line, '\n');
    }
}

/* Is there room for a line? Asked instead of setting O_NONBLOCK, which all who share the pipe or terminal would get.
 * An error of poll or a closed reader is the write's to find out, at once. */
static bool is_writable(void)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) != 0;
}

/* Under the mutex. False: there is no room even for that. */
static bool tell_dropped(void)
{
    unsigned long long count = atomic_load(&dropped) - dropped_told;
    char text[100];
    struct buf line = {0};
    if (count == 0)
        return true;
    if (!is_writable())
        return false;
    snprintf(text, sizeof text, "%llu lines of the log were dropped: nobody read them", count);
    append_line(&line, LOG_LEVEL_WARN, "log", text);
    (void)!write(STDERR_FILENO, line.ptr, line.len);
    dropped_told += count;
    buf_fini(&line);
    return true;
}

void log_catch_up(void)
{
    if (atomic_load_explicit(&dropped, memory_order_relaxed) == 0 || pthread_mutex_trylock(&writing) != 0)
        return;
    tell_dropped();
    pthread_mutex_unlock(&writing);
}

bool log_limit_passes(struct log_limit *limit, uint64_t now_us, unsigned long long *out_count)
{
    const uint64_t interval_us = 10 * 1000 * 1000;
    uint64_t began_us = atomic_load(&limit->began_us);
    atomic_fetch_add(&limit->unsaid, 1);
    bool begins = !began_us || now_us >= began_us + interval_us;
    if (begins && atomic_compare_exchange_strong(&limit->began_us, &began_us, now_us))
        atomic_store(&limit->due, 0);
    if (atomic_fetch_add(&limit->due, 1) >= (limit->most ? limit->most : 1))
        return false;
    *out_count = atomic_exchange(&limit->unsaid, 0);
    return true;
}

unsigned long long log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

/* A log that cannot be written must not stop the server. */
static void write_line(const struct buf *line)
{
    pthread_mutex_lock(&writing);
    if (tell_dropped() && is_writable())
        (void)!write(STDERR_FILENO, line->ptr, line->len);
    else
        atomic_fetch_add(&dropped, 1);
    pthread_mutex_unlock(&writing);
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct buf line = {0};
    append_line(&line, level, module, text);
    write_line(&line);
    buf_fini(&line);
}

void log_line(const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct buf line = {0};
    if (atomic_load(&current_format) == LOG_FORMAT_JSON) {
        append_line(&line, LOG_LEVEL_INFO, "dev", text);
    } else {
        append_escaped(&line, text, false);
        buf_append_char(&line, '\n');
    }
    write_line(&line);
    buf_fini(&line);
}
