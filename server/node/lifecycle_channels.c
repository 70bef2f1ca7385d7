/* lifecycle_channels.c - the channels with subscribers on this node. A worker tells when its first one comes and when
 * its last one has gone. The node tells the broker, a while after the last one of all its workers has gone. The broker
 * tells a channel as occupied or vacated where no other node has subscribers of it. */
#include "common/base/alloc.h"
#include "common/json/json.h"
#include "server/node/lifecycle_private.h"

/* Owned by lifecycle->channels. */
struct lifecycle_channel {
    struct lifecycle *lifecycle;
    unsigned workers;    /* with subscribers; 0: the timer runs */
    struct timer vacate; /* until the broker is told that the channel has none here */
    struct str name;
    char bytes[];
};

static void tell_channel(struct lifecycle *lifecycle, const struct lifecycle_channel *channel, bool here)
{
    struct buf data = {0}, name = {0};
    json_append_string(&name, channel->name);
    buf_append_lit(&data, "\"channel\":");
    buf_append(&data, buf_str(&name));
    /* Others tell the end if the type is wanted. */
    struct str about =
        here && lifecycle_tells(lifecycle->settings, LIFECYCLE_CHANNEL_VACATED) ? buf_str(&name) : STR("");
    lifecycle_tell(lifecycle, here ? LIFECYCLE_CHANNEL_OCCUPIED : LIFECYCLE_CHANNEL_VACATED,
                   here ? LIFECYCLE_OCCUPY : LIFECYCLE_VACATE, channel->name, buf_str(&data), about);
    buf_fini(&data);
    buf_fini(&name);
}

static void on_vacated(struct timer *timer, uint64_t now_us)
{
    struct lifecycle_channel *channel = CONTAINER_OF(timer, struct lifecycle_channel, vacate);
    struct lifecycle *lifecycle = channel->lifecycle;
    (void)now_us;
    map_remove(&lifecycle->channels, channel->name);
    tell_channel(lifecycle, channel, false);
    free(channel);
}

void lifecycle_count_channel(struct lifecycle *lifecycle, struct str name, bool here)
{
    struct turn *turn = lifecycle->router->mailbox.turn;
    struct lifecycle_channel *channel = map_get(&lifecycle->channels, name);
    if (!here) {
        if (channel && channel->workers && --channel->workers == 0)
            turn_start_timer(turn, &channel->vacate, lifecycle->settings->vacated_after_us, on_vacated);
        return;
    }
    if (channel) {
        turn_stop_timer(turn, &channel->vacate);
        channel->workers++;
        return;
    }
    channel = xcalloc(1, sizeof *channel + name.len);
    char *at = channel->bytes;
    channel->name = str_pack(&at, name);
    channel->lifecycle = lifecycle;
    channel->workers = 1;
    map_put(&lifecycle->channels, channel->name, channel);
    tell_channel(lifecycle, channel, true);
}

void lifecycle_tell_channels(struct lifecycle *lifecycle)
{
    size_t cursor = 0;
    for (const struct lifecycle_channel *channel; (channel = map_next(&lifecycle->channels, &cursor));)
        tell_channel(lifecycle, channel, true);
}

void lifecycle_forget_channels(struct lifecycle *lifecycle)
{
    size_t cursor = 0;
    for (struct lifecycle_channel *channel; (channel = map_next(&lifecycle->channels, &cursor));) {
        turn_stop_timer(lifecycle->router->mailbox.turn, &channel->vacate);
        free(channel);
    }
    map_fini(&lifecycle->channels);
    lifecycle->channels = (struct map){0};
}
