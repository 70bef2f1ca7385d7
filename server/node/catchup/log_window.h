/* log_window.h - a run of events of one channel, without holes, in memory. They are ready to be written to clients, so
 * that one read of the history serves many clients. All windows share one limit of bytes. Pure, for one thread. */
#ifndef CARILLON_NODE_CATCHUP_LOG_WINDOW_H
#define CARILLON_NODE_CATCHUP_LOG_WINDOW_H

#include "common/base/ring.h"
#include "server/core/message.h"

/* The bytes of all windows of a node together, and their limit. */
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

/* append takes a message that follows the newest one, prepend a message that precedes the oldest one; an empty window
 * takes any. Another message is left alone. The window keeps a reference of its own. */
void log_window_append(struct log_window *window, struct message *message);
void log_window_prepend(struct log_window *window, struct message *message);

/* While the budget is exceeded, drops the oldest events of this window. */
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
