/* redis_event.c - see redis_event.h. An event goes on to clients as JSON, so every part of it is checked. */
#include "server/broker/redis/redis_event.h"

#include "common/json/json.h"

/* NODE_EVENT_MAX: the largest limits.event_bytes that a node can have, and the text around the data. */
enum { TIMESTAMP_MAX = 40, AROUND_DATA_MAX = 4096, NODE_EVENT_MAX = (16 << 20) + AROUND_DATA_MAX };

static bool is_of(struct str text, size_t max, const char *others)
{
    if (text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!plain && (c == '\0' || !strchr(others, c)))
            return false;
    }
    return true;
}

/* A member that is absent gives the empty text. */
static bool take_text(struct json_value value, struct buf *scratch, struct str *out)
{
    *out = STR("");
    return !value.type || json_text(value, scratch, out);
}

/* The publisher, as its node has named it. A backend that publishes directly may have members of these names for a
 * purpose of its own: they are ignored. */
static void take_publisher(struct json_value user, struct json_value session, struct buf *scratch, struct event *out)
{
    if (user.type == JSON_STRING)
        take_text(user, scratch, &out->user);
    if (session.type == JSON_STRING)
        take_text(session, scratch, &out->session);
}

static enum err take_position(struct json_value epoch, struct json_value offset, struct buf *scratch, struct event *out,
                              struct error *error)
{
    if (!epoch.type != !offset.type)
        return error_set(error, ERR_INVALID_REQUEST, "epoch and offset come together or not at all");
    if (!epoch.type)
        return ERR_NONE;
    if (!take_text(epoch, scratch, &out->epoch) || out->epoch.len == 0 || !is_of(out->epoch, EPOCH_MAX, "-_"))
        return error_set(error, ERR_INVALID_REQUEST, "epoch: expected 1 to %d letters and digits", EPOCH_MAX);
    if (!json_u64(offset, &out->offset) || out->offset == 0)
        return error_set(error, ERR_INVALID_REQUEST, "offset: expected a whole number from 1");
    return ERR_NONE;
}

enum err redis_event_parse(struct str bytes, struct str channel, const struct event_limits *limits, struct buf *scratch,
                           struct event *out, bool *out_direct, struct error *error)
{
    struct json_value whole;
    struct json_value type = {0}, data = {0}, id = {0}, timestamp = {0}, name = {0}, epoch = {0}, offset = {0};
    struct json_value user = {0}, session = {0}, exclude = {0};
    const struct json_field fields[] = {
        {"type", JSON_STRING, true, &type},      {"data", JSON_ANY, true, &data},
        {"id", JSON_STRING, false, &id},         {"timestamp", JSON_STRING, false, &timestamp},
        {"channel", JSON_STRING, false, &name},  {"epoch", JSON_STRING, false, &epoch},
        {"offset", JSON_NUMBER, false, &offset}, {"user", JSON_ANY, false, &user},
        {"session", JSON_ANY, false, &session},  {"exclude_session", JSON_STRING, false, &exclude},
    };
    struct event event = {.channel = channel};
    const struct json_limits json = {.depth = JSON_DEPTH_MAX, .values = bytes.len + 1}; /* as at the other ways in */
    static const struct event_limits of_nodes = {.data_bytes = SIZE_MAX, .custom = true};
    struct str text;
    enum err err;
    if (bytes.len > NODE_EVENT_MAX)
        return error_set(error, ERR_TOO_LARGE, "%zu bytes, the limit is %d", bytes.len, NODE_EVENT_MAX);
    if ((err = json_check(bytes, &json, &whole, error)) ||
        (err = json_bind_given(whole, "", fields, sizeof fields / sizeof *fields, error)))
        return err;
    buf_clear(scratch);
    buf_reserve(scratch, bytes.len); /* unescaped text is never longer, so earlier pieces stay where they are */
    if (!take_text(type, scratch, &event.type))
        return error_set(error, ERR_INVALID_REQUEST, "type: not an event type");
    event.data = data.raw;
    /* A node that publishes an event checks it and acknowledges it. So that node's settings count, not those here. */
    bool direct = !name.type;
    if (direct && bytes.len > limits->data_bytes + AROUND_DATA_MAX)
        return error_set(error, ERR_TOO_LARGE,
                         "%zu bytes, at most %zu for data and %d around it are allowed (limits.event_bytes)", bytes.len,
                         limits->data_bytes, AROUND_DATA_MAX);
    /* The scripts of presence publish join and leave. */
    bool presence = !direct && (str_eq(event.type, STR("join")) || str_eq(event.type, STR("leave")));
    const struct event_offer offer = {.type = event.type, .data = data};
    if (!presence && (err = event_offer_check(&offer, direct ? limits : &of_nodes, error)))
        return err;
    if (!take_text(id, scratch, &event.id) || (id.type && event_id_check(event.id, NULL)))
        return error_set(error, ERR_INVALID_REQUEST, "id: expected 1 to %d printable ASCII characters", EVENT_ID_MAX);
    if (!take_text(timestamp, scratch, &event.timestamp) || !is_of(event.timestamp, TIMESTAMP_MAX, ":.+-"))
        return error_set(error, ERR_INVALID_REQUEST, "timestamp: expected a time as in RFC 3339");
    if (!take_text(name, scratch, &text) || (name.type && !str_eq(text, channel)))
        return error_set(error, ERR_INVALID_REQUEST, "channel: not the one it was published to");
    if (!direct)
        take_publisher(user, session, scratch, &event);
    if (!take_text(exclude, scratch, &event.exclude) || (exclude.type && !session_id_is_formed(event.exclude)))
        return error_set(error, ERR_INVALID_REQUEST, "exclude_session: expected the id of a session");
    if ((err = take_position(epoch, offset, scratch, &event, error)))
        return err;
    *out = event;
    *out_direct = direct;
    return ERR_NONE;
}

bool redis_event_parse_epoch(struct str bytes, struct buf *scratch, struct position *out)
{
    struct json_value whole;
    struct json_value type = {0}, data = {0}, reason = {0}, epoch = {0}, offset = {0}, id = {0};
    const struct json_field fields[] = {{"type", JSON_STRING, true, &type}, {"data", JSON_OBJECT, true, &data}};
    const struct json_field of_data[] = {{"reason", JSON_STRING, true, &reason},
                                         {"epoch", JSON_STRING, true, &epoch},
                                         {"offset", JSON_NUMBER, true, &offset},
                                         {"id", JSON_STRING, false, &id}};
    struct str text;
    buf_clear(scratch);
    buf_reserve(scratch, bytes.len);
    return !json_check(bytes, NULL, &whole, NULL) && !json_bind(whole, "", fields, 2, NULL) &&
           !json_bind(data, "data", of_data, 4, NULL) && take_text(type, scratch, &text) && str_eq(text, STR("gap")) &&
           take_text(epoch, scratch, &out->epoch) && out->epoch.len > 0 && is_of(out->epoch, EPOCH_MAX, "-_") &&
           json_u64(offset, &out->offset) && take_text(id, scratch, &out->id);
}

static void append_text(struct buf *out, const char *opening, struct str text)
{
    if (!text.len)
        return;
    buf_append(out, str_from_cstr(opening));
    json_append_string(out, text);
}

void redis_event_head(struct buf *out, const struct event *event)
{
    buf_append_lit(out, "{\"type\":\""); /* neither type nor timestamp has anything to escape */
    buf_append(out, event->type);
    buf_append_lit(out, "\",\"channel\":");
    json_append_string(out, event->channel);
    buf_append_lit(out, ",\"id\":");
    json_append_string(out, event->id);
    buf_append_lit(out, ",\"timestamp\":\"");
    buf_append(out, event->timestamp);
    buf_append_char(out, '"');
    append_text(out, ",\"user\":", event->user);
    append_text(out, ",\"session\":", event->session);
    append_text(out, ",\"exclude_session\":", event->exclude);
}

void redis_event_tail(struct buf *out, const struct event *event)
{
    buf_append_lit(out, ",\"data\":");
    buf_append(out, event->data);
    buf_append_char(out, '}');
}
