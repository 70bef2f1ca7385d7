/* dialect_carillon.c - our own protocol (docs/protocol.md). An event is known by the first bytes of its frame, which
 * the server writes in this order: nothing is parsed for a delivery. */
#include <stdio.h>

#include "bench/load/dialects/bench_dialect.h"
#include "common/json/json.h"

enum carillon_stage { EXPECT_INIT, EXPECT_SUBSCRIBED, READY };

static bool has_type(struct str message, struct str quoted)
{
    struct json_value frame;
    return json_check(message, NULL, &frame, NULL) == ERR_NONE && frame.type == JSON_OBJECT &&
           str_eq(json_member(frame, STR("type")).raw, quoted);
}

/* False: it has come back, and not to where it was. */
static bool take_position(struct talk *talk, struct str subscribed)
{
    struct json_value frame, data, named, number, which;
    struct buf scratch = {0};
    struct str epoch, id;
    if (json_check(subscribed, NULL, &frame, NULL) != ERR_NONE)
        return false;
    data = json_member(frame, STR("data"));
    if (talk->epoch[0])
        return data.type == JSON_OBJECT && str_eq(json_member(data, STR("recovered")).raw, STR("true"));
    if (data.type != JSON_OBJECT)
        return true;
    named = json_member(data, STR("epoch"));
    number = json_member(data, STR("offset"));
    which = json_member(data, STR("id"));
    if (named.type == JSON_STRING && number.type == JSON_NUMBER && json_text(named, &scratch, &epoch) &&
        epoch.len <= TALK_EPOCH_MAX && json_u64(number, &talk->offset)) {
        memcpy(talk->epoch, epoch.ptr, epoch.len);
        talk->epoch[epoch.len] = '\0';
        buf_clear(&scratch);
        if (which.type == JSON_STRING && json_text(which, &scratch, &id) && id.len <= TALK_ID_MAX)
            snprintf(talk->id, sizeof talk->id, "%.*s", STR_ARG(id));
    }
    buf_fini(&scratch);
    return true;
}

static void append_since(struct buf *out, const struct talk *talk)
{
    buf_appendf(out, ",\"since\":{\"epoch\":\"%s\",\"offset\":%llu", talk->epoch, (unsigned long long)talk->offset);
    if (talk->id[0]) {
        buf_append_lit(out, ",\"id\":");
        json_append_string(out, str_from_cstr(talk->id));
    }
    buf_append_char(out, '}');
}

static enum dialect_item greet(struct talk *talk, struct str message, struct buf *answer)
{
    if (talk->stage == EXPECT_INIT && has_type(message, STR("\"session_init\""))) {
        if (talk->channel.len == 0) {
            talk->stage = READY;
            return DIALECT_READY;
        }
        talk->stage = EXPECT_SUBSCRIBED;
        buf_append_lit(answer, "{\"type\":\"subscribe\",\"id\":1,\"data\":{\"channel\":");
        json_append_string(answer, talk->channel);
        if (talk->epoch[0])
            append_since(answer, talk);
        buf_append_lit(answer, "}}");
        return DIALECT_MORE;
    }
    if (talk->stage == EXPECT_SUBSCRIBED && has_type(message, STR("\"subscribed\"")) && take_position(talk, message)) {
        talk->stage = READY;
        return DIALECT_READY;
    }
    return DIALECT_OTHER;
}

static enum dialect_item read_frame(struct talk *talk, struct str *message, struct str *out, struct buf *answer)
{
    if (message->len == 0)
        return DIALECT_MORE;
    *out = *message;
    *message = STR("");
    if (talk->stage != READY)
        return greet(talk, *out, answer);
    if (str_starts_with(*out, STR("{\"type\":\"bench\"")))
        return DIALECT_EVENT;
    return str_starts_with(*out, STR("{\"type\":\"published\"")) ? DIALECT_ACCEPTED : DIALECT_OTHER;
}

static void append_event(struct buf *out, struct str channel, struct str data)
{
    buf_append_lit(out, "{\"channel\":");
    json_append_string(out, channel);
    buf_append_lit(out, ",\"type\":\"bench\",\"data\":");
    buf_append(out, data);
    buf_append_char(out, '}');
}

static void publish(struct buf *out, struct str channel, struct str data)
{
    buf_append_lit(out, "{\"type\":\"publish\",\"data\":");
    append_event(out, channel, data);
    buf_append_char(out, '}');
}

static void append_post_target(struct buf *out, struct str channel)
{
    (void)channel;
    buf_append_lit(out, "/api/v1/publish");
}

const struct bench_dialect dialect_carillon = {
    .name = "carillon",
    .path = "/ws",
    .has_tokens = true,
    .has_echo = true,
    .has_since = true,
    .accepts_aloud = true,
    .transports = 1 << TRANSPORT_HTTP | 1 << TRANSPORT_WEBSOCKET | 1 << TRANSPORT_REDIS,
    .usual = TRANSPORT_HTTP,
    .batch_path = "/api/v1/batch",
    .accepted_mark = "\"id\":",
    .append_query = dialect_append_nothing,
    .open = dialect_open_silent,
    .read = read_frame,
    .publish = publish,
    .append_post_target = append_post_target,
    .append_post_body = append_event,
};
