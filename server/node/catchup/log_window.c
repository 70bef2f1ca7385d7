/* log_window.c - see log_window.h. */
#include "server/node/catchup/log_window.h"

static size_t cost(const struct message *message)
{
    return sizeof *message + message->frame_len + message->channel_len + message->epoch_len + sizeof(struct message *);
}

static struct message **slot(const struct log_window *window, size_t index)
{
    return ring_at(&window->messages, index, sizeof(struct message *));
}

static void drop_first(struct log_window *window)
{
    struct message *oldest = *slot(window, 0);
    window->budget->bytes -= cost(oldest);
    message_unref(oldest);
    ring_drop(&window->messages);
    window->first++;
}

void log_window_clear(struct log_window *window)
{
    while (window->messages.count)
        drop_first(window);
    ring_fini(&window->messages);
    window->first = 0;
}

/* Takes a reference for the ring's new item. */
static void take(struct log_window *window, struct message **item, struct message *message)
{
    window->budget->bytes += cost(message);
    *item = message_ref(message);
}

void log_window_trim(struct log_window *window)
{
    while (window->messages.count && window->budget->bytes > window->budget->bytes_max)
        drop_first(window);
}

void log_window_append(struct log_window *window, struct message *message)
{
    if (window->messages.count && message->offset != log_window_last(window) + 1)
        return;
    if (window->messages.count == 0)
        window->first = message->offset;
    take(window, ring_append(&window->messages, sizeof(struct message *)), message);
}

void log_window_prepend(struct log_window *window, struct message *message)
{
    if (window->messages.count == 0) {
        log_window_append(window, message);
        return;
    }
    if (message->offset + 1 != window->first)
        return;
    window->first--;
    take(window, ring_prepend(&window->messages, sizeof(struct message *)), message);
}

void log_window_forget(struct log_window *window, uint64_t up_to)
{
    while (window->messages.count && window->first <= up_to)
        drop_first(window);
}

struct message *log_window_get(const struct log_window *window, uint64_t offset)
{
    bool has = window->messages.count && offset >= window->first && offset - window->first < window->messages.count;
    return has ? *slot(window, (size_t)(offset - window->first)) : NULL;
}
