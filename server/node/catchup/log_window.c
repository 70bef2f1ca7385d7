/* log_window.c - see log_window.h. */
#include "server/node/catchup/log_window.h"

#include "common/base/alloc.h"

enum { FIRST_RING = 16 };

static size_t cost(const struct message *message)
{
    return sizeof *message + message->frame_len + message->channel_len + message->epoch_len + sizeof(struct message *);
}

static struct message **slot(const struct log_window *window, size_t index)
{
    return &window->ring[(window->head + index) & (window->cap - 1)];
}

static void grow(struct log_window *window)
{
    size_t cap = window->cap ? window->cap * 2 : FIRST_RING;
    struct message **ring = xmalloc(cap * sizeof(struct message *));
    for (size_t i = 0; i < window->count; i++)
        ring[i] = *slot(window, i);
    free(window->ring);
    window->ring = ring;
    window->cap = cap;
    window->head = 0;
}

static void drop_first(struct log_window *window)
{
    struct message *oldest = *slot(window, 0);
    window->budget->bytes -= cost(oldest);
    message_unref(oldest);
    window->head = (window->head + 1) & (window->cap - 1);
    window->first++;
    window->count--;
}

void log_window_clear(struct log_window *window)
{
    while (window->count)
        drop_first(window);
    free(window->ring);
    *window = (struct log_window){.budget = window->budget};
}

static void take(struct log_window *window, struct message *message)
{
    window->count++;
    window->budget->bytes += cost(message);
    message_ref(message);
}

void log_window_trim(struct log_window *window)
{
    while (window->count && window->budget->bytes > window->budget->bytes_max)
        drop_first(window);
}

void log_window_append(struct log_window *window, struct message *message)
{
    if (window->count && message->offset != log_window_last(window) + 1)
        return;
    if (window->count == window->cap)
        grow(window);
    if (window->count == 0)
        window->first = message->offset;
    *slot(window, window->count) = message;
    take(window, message);
}

void log_window_prepend(struct log_window *window, struct message *message)
{
    if (window->count == 0) {
        log_window_append(window, message);
        return;
    }
    if (message->offset + 1 != window->first)
        return;
    if (window->count == window->cap)
        grow(window);
    window->head = (window->head - 1) & (window->cap - 1);
    window->first--;
    *slot(window, 0) = message;
    take(window, message);
}

void log_window_forget(struct log_window *window, uint64_t up_to)
{
    while (window->count && window->first <= up_to)
        drop_first(window);
}

struct message *log_window_get(const struct log_window *window, uint64_t offset)
{
    bool has = window->count && offset >= window->first && offset - window->first < window->count;
    return has ? *slot(window, (size_t)(offset - window->first)) : NULL;
}
