/* dialect_socketio.c - Socket.IO 5 in Engine.IO 4, over the WebSocket transport alone. The first digit is Engine.IO's
 * packet type, after a 4 the second is Socket.IO's. To join a room the client emits "join" with the channel and waits
 * for the acknowledgement; the server emits "event" to the room. */
#include "bench/load/dialects/bench_dialect.h"
#include "common/json/json.h"

enum socketio_stage { EXPECT_OPEN, EXPECT_CONNECTED, EXPECT_JOINED, READY };

static void append_query(struct buf *out, struct str channel)
{
    (void)channel;
    buf_append_lit(out, "?EIO=4&transport=websocket");
}

static enum dialect_item greet(struct talk *talk, struct str message, struct buf *answer)
{
    if (talk->stage == EXPECT_OPEN && str_starts_with(message, STR("0{"))) {
        talk->stage = EXPECT_CONNECTED;
        buf_append_lit(answer, "40");
        return DIALECT_MORE;
    }
    if (talk->stage == EXPECT_CONNECTED && str_starts_with(message, STR("40"))) {
        talk->stage = EXPECT_JOINED;
        buf_append_lit(answer, "420[\"join\",");
        json_append_string(answer, talk->channel);
        buf_append_char(answer, ']');
        return DIALECT_MORE;
    }
    if (talk->stage == EXPECT_JOINED && str_starts_with(message, STR("430["))) {
        talk->stage = READY;
        return DIALECT_READY;
    }
    return DIALECT_OTHER;
}

static enum dialect_item read_packet(struct talk *talk, struct str *message, struct str *out, struct buf *answer)
{
    if (message->len == 0)
        return DIALECT_MORE;
    *out = *message;
    *message = STR("");
    if (str_eq(*out, STR("2"))) { /* ping */
        buf_append_char(answer, '3');
        return DIALECT_MORE;
    }
    if (talk->stage != READY)
        return greet(talk, *out, answer);
    return str_starts_with(*out, STR("42[")) ? DIALECT_EVENT : DIALECT_OTHER;
}

const struct bench_dialect dialect_socketio = {
    .name = "socketio",
    .path = "/socket.io/",
    .transports = 1 << TRANSPORT_HTTP,
    .usual = TRANSPORT_HTTP,
    .append_query = append_query,
    .open = dialect_open_silent,
    .read = read_packet,
    .append_post_target = dialect_append_publish_target,
    .append_post_body = dialect_append_data_alone,
};
