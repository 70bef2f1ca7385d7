/* lifecycle_watch.c - see lifecycle_watch.h. */
#include "server/node/lifecycle_watch.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/json/json.h"
#include "common/protocol/channel_name.h"
#include "server/core/session.h"

/* A channel with subscribers in this hub. */
struct watched_channel {
    uint32_t count;
    struct str name;
    char bytes[];
};

/* ---- settings ---- */

struct lifecycle_settings *lifecycle_settings_create(size_t pattern_count, const struct str *patterns)
{
    size_t size = sizeof(struct lifecycle_settings) + pattern_count * sizeof *patterns;
    for (size_t i = 0; i < pattern_count; i++)
        size += patterns[i].len;
    struct lifecycle_settings *settings = xcalloc(1, size);
    atomic_init(&settings->refs, 1);
    settings->pattern_count = pattern_count;
    settings->patterns = (struct str *)(settings + 1);
    char *at = (char *)&settings->patterns[pattern_count];
    for (size_t i = 0; i < pattern_count; i++)
        settings->patterns[i] = str_pack(&at, patterns[i]);
    return settings;
}

struct lifecycle_settings *lifecycle_settings_ref(struct lifecycle_settings *settings)
{
    atomic_fetch_add_explicit(&settings->refs, 1, memory_order_relaxed);
    return settings;
}

void lifecycle_settings_unref(struct lifecycle_settings *settings)
{
    if (settings && atomic_fetch_sub_explicit(&settings->refs, 1, memory_order_acq_rel) == 1)
        free(settings);
}

bool lifecycle_covers(const struct lifecycle_settings *settings, struct str channel)
{
    for (size_t i = 0; i < settings->pattern_count; i++)
        if (pattern_matches(settings->patterns[i], channel, NULL, NULL))
            return true;
    return false;
}

/* ---- events ---- */

static struct lifecycle_watcher *watcher_of(struct observer *observer)
{
    return CONTAINER_OF(observer, struct lifecycle_watcher, observer);
}

static struct lifecycle_mark *mark_of(struct lifecycle_watcher *watcher, const struct session *session)
{
    size_t place = session->id.slot, before = watcher->mark_cap;
    if (place >= before) {
        watcher->mark_cap = place + 1 > 2 * before ? place + 64 : 2 * before;
        watcher->marks = xrealloc(watcher->marks, watcher->mark_cap * sizeof *watcher->marks);
        memset(watcher->marks + before, 0, (watcher->mark_cap - before) * sizeof *watcher->marks);
    }
    return &watcher->marks[place];
}

/* What each event of a session says. */
static void begin_data(struct lifecycle_watcher *watcher, const struct session *session)
{
    struct buf *data = &watcher->data;
    buf_clear(data);
    buf_append_lit(data, "\"session_id\":\"");
    buf_append(data, str_from(session->uuid, UUID_LEN));
    buf_append_lit(data, "\",\"user\":");
    json_append_string(data, session->claims->sub);
}

static void append_origin(struct lifecycle_watcher *watcher, const struct session *session)
{
    char opened[CLOCK_RFC3339_LEN + 1];
    struct buf *data = &watcher->data;
    clock_format(session->opened_ms, opened);
    buf_append_lit(data, ",\"endpoint\":");
    json_append_string(data, session->endpoint->path);
    buf_append_lit(data, ",\"address\":");
    json_append_string(data, str_from_cstr(session->address));
    buf_append_lit(data, ",\"opened_at\":\"");
    buf_append(data, str_from(opened, CLOCK_RFC3339_LEN));
    buf_append_char(data, '"');
}

/* The event of the session with watcher->data, as the next in its sequence. Where the type is not told, the event has
 * no JSON and no number. */
static void tell(struct lifecycle_watcher *watcher, const struct session *session, enum lifecycle_type type,
                 enum lifecycle_action action, struct str about)
{
    struct lifecycle_mark *mark = mark_of(watcher, session);
    struct str uuid = str_from(session->uuid, UUID_LEN);
    buf_clear(&watcher->json);
    if (lifecycle_tells(watcher->settings, type)) {
        const struct lifecycle_head head = {.type = type,
                                            .node = watcher->node_id,
                                            .subject = uuid,
                                            .sequence = ++mark->sequence,
                                            .wall_ms = hub_wall_ms(watcher->hub)};
        lifecycle_write_json(&watcher->json, &head, buf_str(&watcher->data));
    }
    struct lifecycle_event *event = lifecycle_event_create(type, action, uuid, buf_str(&watcher->json), about);
    event->sequence = mark->sequence;
    event->opened_ms = session->opened_ms;
    watcher->sink(watcher->owner, event);
}

/* again: the session was open before. */
static void tell_open(struct lifecycle_watcher *watcher, const struct session *session, bool again)
{
    bool ends = lifecycle_tells(watcher->settings, LIFECYCLE_SESSION_CLOSED);
    struct lifecycle_mark *mark = mark_of(watcher, session);
    if (again && mark->round)
        mark->sequence++; /* that of the end, if others have told it */
    mark->round = watcher->round;
    if (!ends && !lifecycle_tells(watcher->settings, LIFECYCLE_SESSION_OPENED))
        return;
    begin_data(watcher, session);
    append_origin(watcher, session);
    const struct str told_before = STR(",\"again\":true");
    buf_reserve(&watcher->data, told_before.len); /* so that `about` stays in place */
    struct str about = ends ? buf_str(&watcher->data) : STR("");
    if (again)
        buf_append(&watcher->data, told_before);
    tell(watcher, session, LIFECYCLE_SESSION_OPENED, ends ? LIFECYCLE_OPEN : LIFECYCLE_TELL, about);
}

static void on_opened(struct observer *observer, const struct session *session)
{
    struct lifecycle_watcher *watcher = watcher_of(observer);
    *mark_of(watcher, session) = (struct lifecycle_mark){0};
    tell_open(watcher, session, false);
}

/* Not by a format, which would take a quarter of all that the node does for the session's events. */
static void append_end(struct buf *data, const struct session *session, enum reason reason, uint64_t duration_ms)
{
    buf_append_lit(data, ",\"reason\":\"");
    buf_append(data, str_from_cstr(reason == REASON_NONE ? "client" : reason_text(reason)));
    buf_append_lit(data, "\",\"code\":");
    buf_append_u64(data, session->closing_code);
    buf_append_lit(data, ",\"duration_ms\":");
    buf_append_u64(data, duration_ms);
    buf_append_lit(data, ",\"messages\":");
    buf_append_u64(data, session->messages);
}

static void on_closed(struct observer *observer, const struct session *session, enum reason reason)
{
    struct lifecycle_watcher *watcher = watcher_of(observer);
    uint64_t now_ms = hub_wall_ms(watcher->hub);
    if (!lifecycle_tells(watcher->settings, LIFECYCLE_SESSION_CLOSED))
        return;
    begin_data(watcher, session);
    append_origin(watcher, session);
    append_end(&watcher->data, session, reason, now_ms > session->opened_ms ? now_ms - session->opened_ms : 0);
    tell(watcher, session, LIFECYCLE_SESSION_CLOSED, LIFECYCLE_CLOSE, STR(""));
}

static void tell_subscription(struct lifecycle_watcher *watcher, const struct session *session, struct str channel,
                              enum lifecycle_type type)
{
    if (!lifecycle_tells(watcher->settings, type))
        return;
    begin_data(watcher, session);
    buf_append_lit(&watcher->data, ",\"channel\":");
    json_append_string(&watcher->data, channel);
    tell(watcher, session, type,
         lifecycle_tells(watcher->settings, LIFECYCLE_SESSION_CLOSED) ? LIFECYCLE_STEP : LIFECYCLE_TELL, STR(""));
}

/* The node makes the event of the channel, if it is the first or the last of its workers. */
static void tell_channel(struct lifecycle_watcher *watcher, struct str channel, bool here)
{
    watcher->sink(watcher->owner,
                  lifecycle_event_create(here ? LIFECYCLE_CHANNEL_OCCUPIED : LIFECYCLE_CHANNEL_VACATED,
                                         here ? LIFECYCLE_OCCUPY : LIFECYCLE_VACATE, channel, STR(""), STR("")));
}

static bool counts_channels(const struct lifecycle_watcher *watcher)
{
    return lifecycle_tells(watcher->settings, LIFECYCLE_CHANNEL_OCCUPIED) ||
           lifecycle_tells(watcher->settings, LIFECYCLE_CHANNEL_VACATED);
}

static void count_in(struct lifecycle_watcher *watcher, struct str name)
{
    struct watched_channel *channel = map_get(&watcher->channels, name);
    if (!channel) {
        channel = xcalloc(1, sizeof *channel + name.len);
        char *at = channel->bytes;
        channel->name = str_pack(&at, name);
        map_put(&watcher->channels, channel->name, channel);
        tell_channel(watcher, name, true);
    }
    channel->count++;
}

static void count_out(struct lifecycle_watcher *watcher, struct str name)
{
    struct watched_channel *channel = map_get(&watcher->channels, name);
    if (!channel || --channel->count)
        return;
    map_remove(&watcher->channels, name);
    tell_channel(watcher, name, false);
    free(channel);
}

static void on_subscribed(struct observer *observer, const struct session *session, const struct channel *channel)
{
    struct lifecycle_watcher *watcher = watcher_of(observer);
    struct str name = channel_name(channel);
    if (!lifecycle_covers(watcher->settings, name))
        return;
    tell_subscription(watcher, session, name, LIFECYCLE_SUBSCRIPTION_ADDED);
    if (counts_channels(watcher))
        count_in(watcher, name);
}

static void on_unsubscribed(struct observer *observer, const struct session *session, const struct channel *channel)
{
    struct lifecycle_watcher *watcher = watcher_of(observer);
    struct str name = channel_name(channel);
    if (!lifecycle_covers(watcher->settings, name))
        return;
    tell_subscription(watcher, session, name, LIFECYCLE_SUBSCRIPTION_REMOVED);
    if (counts_channels(watcher))
        count_out(watcher, name);
}

/* ---- what the node says ---- */

static void forget_channels(struct lifecycle_watcher *watcher)
{
    size_t cursor = 0;
    for (struct watched_channel *channel; (channel = map_next(&watcher->channels, &cursor));)
        free(channel);
    map_fini(&watcher->channels);
    watcher->channels = (struct map){0};
}

/* Counts the subscriptions that there are, as the settings say now. */
static void count_channels(struct lifecycle_watcher *watcher)
{
    struct map before = watcher->channels;
    struct watched_channel *channel;
    size_t cursor = 0;
    watcher->channels = (struct map){0};
    for (struct session *session;
         counts_channels(watcher) && (session = session_index_next(hub_sessions(watcher->hub), &cursor));)
        for (uint32_t i = 0; i < session->subscription_count; i++) {
            struct str name = channel_name(session->subscriptions[i].channel);
            if (!session->subscriptions[i].confirmed || !lifecycle_covers(watcher->settings, name))
                continue;
            if ((channel = map_remove(&before, name))) {
                channel->count = 0;
                map_put(&watcher->channels, channel->name, channel);
            }
            count_in(watcher, name);
        }
    for (cursor = 0; (channel = map_next(&before, &cursor));) {
        tell_channel(watcher, channel->name, false);
        free(channel);
    }
    map_fini(&before);
}

static void turn_off(struct lifecycle_watcher *watcher)
{
    if (!watcher->hub)
        return;
    list_remove(&watcher->observer.link);
    forget_channels(watcher);
    free(watcher->marks);
    watcher->marks = NULL;
    watcher->mark_cap = 0;
    watcher->hub = NULL;
}

void lifecycle_watcher_configure(struct lifecycle_watcher *watcher, struct hub *hub,
                                 struct lifecycle_settings *settings, uint32_t round)
{
    struct lifecycle_settings *before = watcher->settings;
    watcher->settings = settings ? lifecycle_settings_ref(settings) : NULL;
    watcher->round = round;
    if (!settings) {
        turn_off(watcher);
    } else if (settings != before) {
        if (!watcher->hub) {
            watcher->observer = (struct observer){
                .opened = on_opened, .closed = on_closed, .subscribed = on_subscribed, .unsubscribed = on_unsubscribed};
            watcher->hub = hub;
            hub_observe(hub, &watcher->observer);
        }
        count_channels(watcher);
    }
    lifecycle_settings_unref(before);
}

size_t lifecycle_watcher_tell(struct lifecycle_watcher *watcher, size_t place, size_t count)
{
    if (!watcher->hub)
        return 0;
    const struct session_index *sessions = hub_sessions(watcher->hub);
    for (; place < sessions->place_count && count; place++, count--) {
        const struct session *session = session_index_at(sessions, place);
        if (session && session->state == SESSION_OPEN && mark_of(watcher, session)->round != watcher->round)
            tell_open(watcher, session, true);
    }
    return place < sessions->place_count ? place : 0;
}

void lifecycle_watcher_fini(struct lifecycle_watcher *watcher)
{
    forget_channels(watcher);
    free(watcher->marks);
    buf_fini(&watcher->data);
    buf_fini(&watcher->json);
    lifecycle_settings_unref(watcher->settings);
}
