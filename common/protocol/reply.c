/* reply.c - see reply.h. The order of the members is always type, id, channel, then data or error. */
#include "common/protocol/reply.h"

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
static void begin(struct buf *out, const char *type, struct str id, struct str channel)
{
    buf_append_lit(out, "{\"type\":\"");
    buf_append(out, str_from_cstr(type));
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
static void append_position(struct buf *out, struct str epoch, uint64_t offset)
{
    if (epoch.len == 0)
        return;
    buf_append_lit(out, "\"epoch\":");
    json_append_string(out, epoch);
    buf_append_lit(out, ",\"offset\":");
    buf_append_u64(out, offset);
}

static void append_whole_position(struct buf *out, const struct position *position)
{
    append_position(out, position->epoch, position->offset);
    if (position->epoch.len && position->id.len) {
        buf_append_lit(out, ",\"id\":");
        json_append_string(out, position->id);
    }
}

void reply_session_init(struct buf *out, const struct session_init *init)
{
    begin(out, "session_init", STR(""), STR(""));
    buf_append_lit(out, ",\"session_id\":");
    json_append_string(out, init->session_id);
    buf_append_lit(out, ",\"timestamp\":");
    append_time(out, init->wall_ms);
    buf_append_lit(out, ",\"data\":{\"user\":");
    json_append_string(out, init->user);
    buf_append_char(out, ',');
    append_expiry(out, init->expires_ms);
    buf_append_lit(out, ",\"ping_interval_s\":");
    buf_append_u64(out, init->ping_interval_s);
    buf_append_lit(out, ",\"limits\":{\"message_bytes\":");
    buf_append_u64(out, init->message_bytes);
    buf_append_lit(out, ",\"channels\":");
    buf_append_u64(out, init->channels);
    buf_append_lit(out, "}}}");
}

void reply_subscribed(struct buf *out, struct str id, struct str channel, const struct position *position,
                      bool recovered)
{
    begin(out, "subscribed", id, channel);
    buf_append_lit(out, ",\"data\":{");
    append_whole_position(out, position);
    if (position->epoch.len)
        buf_append_char(out, ',');
    buf_append(out, recovered ? STR("\"recovered\":true}}") : STR("\"recovered\":false}}"));
}

void reply_unsubscribed(struct buf *out, struct str id, struct str channel)
{
    begin(out, "unsubscribed", id, channel);
    buf_append_char(out, '}');
}

void reply_pong(struct buf *out, struct str id, uint64_t wall_ms)
{
    begin(out, "pong", id, STR(""));
    buf_append_lit(out, ",\"timestamp\":");
    append_time(out, wall_ms);
    buf_append_char(out, '}');
}

void reply_published(struct buf *out, struct str id, struct str channel, struct str event_id, struct str epoch,
                     uint64_t offset, bool duplicate)
{
    begin(out, "published", id, channel);
    buf_append_lit(out, ",\"data\":{\"id\":");
    json_append_string(out, event_id);
    if (epoch.len)
        buf_append_char(out, ',');
    append_position(out, epoch, offset);
    if (duplicate)
        buf_append_lit(out, ",\"duplicate\":true");
    buf_append_lit(out, "}}");
}

void reply_refreshed(struct buf *out, struct str id, uint64_t expires_ms)
{
    begin(out, "refreshed", id, STR(""));
    buf_append_lit(out, ",\"data\":{");
    append_expiry(out, expires_ms);
    buf_append_lit(out, "}}");
}

void reply_error(struct buf *out, struct str id, enum err code, struct str message, struct str channel)
{
    begin(out, "error", id, STR(""));
    buf_append_lit(out, ",\"error\":{\"code\":\"");
    buf_append(out, str_from_cstr(err_code(code)));
    buf_append_lit(out, "\",\"message\":");
    json_append_string(out, message);
    if (channel.len) {
        buf_append_lit(out, ",\"channel\":");
        json_append_string(out, channel);
    }
    buf_append_lit(out, "}}");
}

void reply_warning(struct buf *out, const char *code, struct str message)
{
    begin(out, "warning", STR(""), STR(""));
    buf_append_lit(out, ",\"data\":{\"code\":");
    json_append_string(out, str_from_cstr(code));
    buf_append_lit(out, ",\"message\":");
    json_append_string(out, message);
    buf_append_lit(out, "}}");
}

void reply_reconnect(struct buf *out, const char *reason, uint64_t after_ms)
{
    begin(out, "reconnect", STR(""), STR(""));
    buf_append_lit(out, ",\"data\":{\"reason\":");
    json_append_string(out, str_from_cstr(reason));
    buf_append_lit(out, ",\"after_ms\":");
    buf_append_u64(out, after_ms);
    buf_append_lit(out, "}}");
}

void reply_history(struct buf *out, struct str id, struct str channel, struct str epoch, uint64_t offset,
                   struct str events, bool more)
{
    buf_reserve(out, events.len + channel.len + 256);
    begin(out, "history", id, channel);
    buf_append_lit(out, ",\"data\":{");
    append_position(out, epoch, offset);
    if (epoch.len)
        buf_append_char(out, ',');
    buf_append_lit(out, "\"events\":[");
    buf_append(out, events);
    buf_append(out, more ? STR("],\"more\":true}}") : STR("],\"more\":false}}"));
}

void reply_presence(struct buf *out, struct str id, struct str channel, struct str members)
{
    begin(out, "presence", id, channel);
    buf_append_lit(out, ",\"data\":{");
    buf_append(out, members);
    buf_append_lit(out, "}}");
}

void reply_gap(struct buf *out, struct str channel, const char *reason, const struct position *position)
{
    begin(out, "gap", STR(""), channel);
    buf_append_lit(out, ",\"data\":{\"reason\":");
    json_append_string(out, str_from_cstr(reason));
    if (position->epoch.len)
        buf_append_char(out, ',');
    append_whole_position(out, position);
    buf_append_lit(out, "}}");
}
