/* log_window.h - a run of a channel's events without holes, ready to be written to clients: what is at hand of a
 * history, so that many readers cost one read. Bounded by a total that several windows share. Pure; one thread. */
#ifndef CARILLON_NODE_CATCHUP_LOG_WINDOW_H
#define CARILLON_NODE_CATCHUP_LOG_WINDOW_H

#include "common/base/ring.h"
#include "server/core/message.h"

/* What all windows may take together. */
struct log_budget {
    size_t bytes;
    size_t bytes_max;
};

/* Zeroed but for budget: empty. */
struct log_window {
    struct log_budget *budget;
    struct ring messages; /* of struct message * */
    uint64_t first;       /* offset of the oldest */
};

void log_window_clear(struct log_window *window);

/* Takes a reference of its own if the message is the next one after the newest or before the oldest, or the first one
 * of all; else it leaves it. */
void log_window_append(struct log_window *window, struct message *message);
void log_window_prepend(struct log_window *window, struct message *message);

/* Over the budget the window's own oldest go. */
void log_window_trim(struct log_window *window);

/* Drops all up to this offset. */
void log_window_forget(struct log_window *window, uint64_t up_to);

/* Borrowed; NULL if the window does not have it. */
struct message *log_window_get(const struct log_window *window, uint64_t offset);

/* Offset of the newest; below first if it is empty. */
static inline uint64_t log_window_last(const struct log_window *window)
{
    return window->first + window->messages.count - 1;
}

#endif
