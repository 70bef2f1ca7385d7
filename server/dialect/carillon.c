/* carillon.c - see carillon.h. Here: what the server says (docs/protocol.md, "Frames"). The order of the members is
 * always type, id, channel, then data or error. */
#include "server/dialect/carillon.h"

#include "common/base/clock.h"
#include "common/json/json.h"

static void append_time(struct buf *out, uint64_t wall_ms)
{
    char text[CLOCK_RFC3339_LEN + 1];
    clock_format(wall_ms, text);
    buf_append_char(out, '"');
    buf_append(out, str_from_cstr(text));
    buf_append_char(out, '"');
}

static void append_expiry(struct buf *out, uint64_t expires_ms)
{
    buf_append_lit(out, "\"expires_at\":");
    if (expires_ms)
        append_time(out, expires_ms);
    else
        buf_append_lit(out, "null");
}

/* {"type":"subscribed","id":1,"channel":"..." and nothing after it. */
static void begin(struct buf *out, struct str type, struct str id, struct str channel)
{
    buf_append_lit(out, "{\"type\":\"");
    buf_append(out, type);
    buf_append_char(out, '"');
    if (id.len) {
        buf_append_lit(out, ",\"id\":");
        buf_append(out, id);
    }
    if (channel.len) {
        buf_append_lit(out, ",\"channel\":");
        json_append_string(out, channel);
    }
}

/* Nothing for a channel without history. */
static void append_offset(struct buf *out, const struct position *position)
{
    if (position->epoch.len == 0)
        return;
    buf_append_lit(out, "\"epoch\":");
    json_append_string(out, position->epoch);
    buf_append_lit(out, ",\"offset\":");
    buf_append_u64(out, position->offset);
}

static void append_position(struct buf *out, const struct position *position)
{
    append_offset(out, position);
    if (position->epoch.len && position->id.len) {
        buf_append_lit(out, ",\"id\":");
        json_append_string(out, position->id);
    }
}

static void write_session_init(struct buf *out, const struct reply *reply)
{
    buf_append_lit(out, ",\"session_id\":");
    json_append_string(out, reply->session_init.session_id);
    buf_append_lit(out, ",\"timestamp\":");
    append_time(out, reply->session_init.wall_ms);
    buf_append_lit(out, ",\"data\":{\"user\":");
    json_append_string(out, reply->session_init.user);
    buf_append_char(out, ',');
    append_expiry(out, reply->session_init.expires_ms);
    buf_append_lit(out, ",\"ping_interval_s\":");
    buf_append_u64(out, reply->session_init.ping_interval_s);
    buf_append_lit(out, ",\"limits\":{\"message_bytes\":");
    buf_append_u64(out, reply->session_init.message_bytes);
    buf_append_lit(out, ",\"channels\":");
    buf_append_u64(out, reply->session_init.channels);
    buf_append_lit(out, "}}");
}

static void write_subscribed(struct buf *out, const struct reply *reply)
{
    buf_append_lit(out, ",\"data\":{");
    append_position(out, &reply->subscribed.position);
    if (reply->subscribed.position.epoch.len)
        buf_append_char(out, ',');
    buf_append(out, reply->subscribed.recovered ? STR("\"recovered\":true}") : STR("\"recovered\":false}"));
}

static void write_nothing(struct buf *out, const struct reply *reply)
{
    (void)out;
    (void)reply;
}

static void write_pong(struct buf *out, const struct reply *reply)
{
    buf_append_lit(out, ",\"timestamp\":");
    append_time(out, reply->pong.wall_ms);
}

static void write_published(struct buf *out, const struct reply *reply)
{
    const struct position *event = &reply->published.event;
    buf_append_lit(out, ",\"data\":{\"id\":");
    json_append_string(out, event->id);
    if (event->epoch.len)
        buf_append_char(out, ',');
    append_offset(out, event);
    buf_append(out, reply->published.duplicate ? STR(",\"duplicate\":true}") : STR("}"));
}

static void write_refreshed(struct buf *out, const struct reply *reply)
{
    buf_append_lit(out, ",\"data\":{");
    append_expiry(out, reply->refreshed.expires_ms);
    buf_append_char(out, '}');
}

static void write_history(struct buf *out, const struct reply *reply)
{
    buf_reserve(out, reply->history.events.len + 256);
    buf_append_lit(out, ",\"data\":{");
    append_offset(out, &reply->history.position);
    if (reply->history.position.epoch.len)
        buf_append_char(out, ',');
    buf_append_lit(out, "\"events\":[");
    buf_append(out, reply->history.events);
    buf_append(out, reply->history.more ? STR("],\"more\":true}") : STR("],\"more\":false}"));
}

static void write_presence(struct buf *out, const struct reply *reply)
{
    buf_append_lit(out, ",\"data\":{");
    presence_page_write(out, &reply->presence);
    buf_append_char(out, '}');
}

/* The channel is a member of the error. */
static void write_error(struct buf *out, const struct reply *reply)
{
    buf_append_lit(out, ",\"error\":{\"code\":\"");
    buf_append(out, str_from_cstr(err_code(reply->error.code)));
    buf_append_lit(out, "\",\"message\":");
    json_append_string(out, reply->error.message);
    if (reply->channel.len) {
        buf_append_lit(out, ",\"channel\":");
        json_append_string(out, reply->channel);
    }
    buf_append_char(out, '}');
}

static void write_warning(struct buf *out, const struct reply *reply)
{
    buf_append_lit(out, ",\"data\":{\"code\":");
    json_append_string(out, reply->warning.code);
    buf_append_lit(out, ",\"message\":");
    json_append_string(out, reply->warning.message);
    buf_append_char(out, '}');
}

static void write_reconnect(struct buf *out, const struct reply *reply)
{
    buf_append_lit(out, ",\"data\":{\"reason\":");
    json_append_string(out, reply->reconnect.reason);
    buf_append_lit(out, ",\"after_ms\":");
    buf_append_u64(out, reply->reconnect.after_ms);
    buf_append_char(out, '}');
}

static void write_gap(struct buf *out, const struct reply *reply)
{
    buf_append_lit(out, ",\"data\":{\"reason\":");
    json_append_string(out, str_from_cstr(gap_text(reply->gap.reason)));
    if (reply->gap.position.epoch.len)
        buf_append_char(out, ',');
    append_position(out, &reply->gap.position);
    buf_append_char(out, '}');
}

/* The name of each reply on the wire, and the function that writes its own members. */
static const struct {
    const char *type;
    void (*write)(struct buf *out, const struct reply *reply);
} replies[REPLY_TYPE_COUNT] = {
    [REPLY_SESSION_INIT] = {"session_init", write_session_init},
    [REPLY_SUBSCRIBED] = {"subscribed", write_subscribed},
    [REPLY_UNSUBSCRIBED] = {"unsubscribed", write_nothing},
    [REPLY_PONG] = {"pong", write_pong},
    [REPLY_PUBLISHED] = {"published", write_published},
    [REPLY_REFRESHED] = {"refreshed", write_refreshed},
    [REPLY_HISTORY] = {"history", write_history},
    [REPLY_PRESENCE] = {"presence", write_presence},
    [REPLY_ERROR] = {"error", write_error},
    [REPLY_WARNING] = {"warning", write_warning},
    [REPLY_RECONNECT] = {"reconnect", write_reconnect},
    [REPLY_GAP] = {"gap", write_gap},
};

static void write_reply(struct buf *out, const struct reply *reply)
{
    struct str channel = reply->type == REPLY_ERROR ? STR("") : reply->channel;
    begin(out, str_from_cstr(replies[reply->type].type), reply->id, channel);
    replies[reply->type].write(out, reply);
    buf_append_char(out, '}');
}

const struct dialect carillon_dialect = {.parse = carillon_parse, .event = event_encode, .reply = write_reply};
