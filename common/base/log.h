/* log.h - the log: one line to stderr for each event, as text or as JSON. Any thread: a line is one write.
 *
 * The log never waits for its reader. A line without room is dropped and counted, and a later line says so. The log
 * masks nothing, so callers must never pass tokens, keys or query strings. */
#ifndef CARILLON_BASE_LOG_H
#define CARILLON_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* May be called again at any time (reload). The log starts as text, INFO. */
void log_configure(enum log_level level, enum log_format format);

bool log_enabled(enum log_level level);

/* module is the folder or file that logs ("net", "broker"). The text is one sentence without a newline. */
void log_write(enum log_level level, const char *module, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* One line as it is, without time and level, for a person who watches. It waits for nobody, as the log. As JSON it is a
 * line of the log with level info and the module "dev". */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For a warning that may be due very often: of those of ten seconds only the first ones are said, with how many there
 * were. Zeroed: one in ten seconds, and never said. */
struct log_limit {
    unsigned most; /* in ten seconds; 0: one */
    _Atomic uint64_t began_us;
    _Atomic uint64_t due; /* in these ten seconds */
    _Atomic unsigned long long unsaid;
};

/* Counts one warning. True if it is to be logged now. *out_count is then the number of warnings since the last logged
 * one, with this one. now_us is of the monotonic clock, and not 0. Any thread; several at once may share a count. */
bool log_limit_passes(struct log_limit *limit, uint64_t now_us, unsigned long long *out_count);

/* How many lines have been dropped. */
unsigned long long log_dropped(void);
/* Call it now and then: it logs that lines were dropped, once there is room. */
void log_catch_up(void);

#define log_error(module, ...) log_write(LOG_LEVEL_ERROR, module, __VA_ARGS__)
#define log_warn(module, ...)  log_write(LOG_LEVEL_WARN, module, __VA_ARGS__)
#define log_info(module, ...)  log_write(LOG_LEVEL_INFO, module, __VA_ARGS__)
#define log_debug(module, ...)                                                                                         \
    do {                                                                                                               \
        if (log_enabled(LOG_LEVEL_DEBUG))                                                                              \
            log_write(LOG_LEVEL_DEBUG, module, __VA_ARGS__);                                                           \
    } while (0)

#endif
