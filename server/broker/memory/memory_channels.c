/* memory_channels.c - see memory_channels.h. */
#include "server/broker/memory/memory_channels.h"

#include "common/base/alloc.h"

/* How long the position outlives the events of a channel that has fallen silent. */
static const uint64_t longer_us = UINT64_C(24) * 60 * 60 * 1000 * 1000;

void memory_channels_init(struct memory_channels *channels, uint64_t empty_ttl_us, size_t idle_max, size_t idle_share,
                          size_t history_bytes_max, size_t history_share)
{
    *channels = (struct memory_channels){.empty_ttl_us = empty_ttl_us, .idle_max = idle_max};
    list_init(&channels->idle);
    list_init(&channels->empty);
    memory_shares_init(&channels->positions, idle_share);
    memory_logs_init(&channels->logs, history_bytes_max, history_share);
}

void memory_channels_fini(struct memory_channels *channels)
{
    size_t cursor = 0;
    for (struct memory_channel *channel; (channel = map_next(&channels->by_name, &cursor));) {
        memory_log_clear(&channels->logs, &channel->log);
        memory_shares_remove(&channels->positions, &channel->part);
        free(channel);
    }
    map_fini(&channels->by_name);
    memory_logs_fini(&channels->logs);
    memory_shares_fini(&channels->positions);
}

struct memory_channel *memory_channel_find(const struct memory_channels *channels, struct str name)
{
    return map_get(&channels->by_name, name);
}

void memory_channel_make_busy(struct memory_channels *channels, struct memory_channel *channel)
{
    if (!list_is_linked(&channel->idle))
        return;
    list_remove(&channel->idle);
    memory_shares_remove(&channels->positions, &channel->part);
    channels->idle_count--;
}

void memory_channel_forget(struct memory_channels *channels, struct memory_channel *channel)
{
    memory_channel_make_busy(channels, channel);
    memory_log_clear(&channels->logs, &channel->log);
    map_remove(&channels->by_name, channel->name);
    free(channel);
}

/* A channel that has never had an event is kept for a short time only, in which its last subscribers can come back. */
void memory_channel_make_idle(struct memory_channels *channels, struct memory_channel *channel, uint64_t now_us)
{
    memory_channel_make_busy(channels, channel);
    channels->idle_count++;
    if (channel->offset == 0) {
        channel->forget_us = now_us + channels->empty_ttl_us;
        list_append(&channels->empty, &channel->idle);
        return;
    }
    list_append(&channels->idle, &channel->idle);
    memory_shares_put(&channels->positions, &channel->part, channel->user, 1);
    for (struct memory_part *part; (part = memory_shares_over(&channels->positions, &channel->part));)
        memory_channel_forget(channels, CONTAINER_OF(part, struct memory_channel, part));
}

struct memory_channel *memory_channel_find_or_create(struct memory_channels *channels, struct str name)
{
    struct memory_channel *channel = map_get(&channels->by_name, name);
    if (channel)
        return channel;
    channel = xcalloc(1, sizeof *channel + name.len);
    memcpy(channel->bytes, name.ptr, name.len);
    channel->name = str_from(channel->bytes, name.len);
    map_put(&channels->by_name, channel->name, channel);
    return channel;
}

static bool is_over(const struct memory_channel *channel, uint64_t now_us)
{
    return channel->forget_us && channel->forget_us <= now_us;
}

bool memory_channel_has_position(const struct memory_channel *channel, uint64_t now_us)
{
    return channel->epoch[0] && (channel->subscribed || !is_over(channel, now_us));
}

void memory_channel_begin_epoch(struct memory_channels *channels, struct memory_channel *channel)
{
    memory_log_clear(&channels->logs, &channel->log);
    epoch_new(channel->epoch);
    channel->offset = 0;
    channel->last_id[0] = '\0';
}

void memory_channel_keep_for(struct memory_channel *channel, const struct history_policy *history, uint64_t now_us)
{
    channel->forget_us = history->ttl_ms ? now_us + history->ttl_ms * 1000 + longer_us : 0;
}

/* The list of positions with events is in order of use, not of expiry. So a position behind one that lives longer may
 * stay past its end. It goes when its channel is used again, or when positions_max is reached. */
static struct memory_channel *first_to_forget(const struct memory_channels *channels, uint64_t now_us)
{
    bool many = channels->idle_count > channels->idle_max;
    const struct list_link *const lists[] = {&channels->empty, &channels->idle};
    for (size_t i = 0; i < 2; i++) {
        struct memory_channel *first = CONTAINER_OF(lists[i]->next, struct memory_channel, idle);
        if (!list_is_empty(lists[i]) && (many || is_over(first, now_us)))
            return first;
    }
    return NULL;
}

void memory_channels_forget_all_idle(struct memory_channels *channels)
{
    struct list_link *const lists[] = {&channels->empty, &channels->idle};
    for (size_t i = 0; i < 2; i++)
        while (!list_is_empty(lists[i]))
            memory_channel_forget(channels, CONTAINER_OF(lists[i]->next, struct memory_channel, idle));
}

void memory_channels_forget_idle(struct memory_channels *channels, uint64_t now_us)
{
    for (struct memory_channel *channel; (channel = first_to_forget(channels, now_us));)
        memory_channel_forget(channels, channel);
}
