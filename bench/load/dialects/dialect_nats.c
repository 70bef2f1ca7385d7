/* dialect_nats.c - NATS over WebSocket: its byte stream in binary messages. The channel, with dots, is the subject. */
#include "bench/load/dialects/bench_dialect.h"
#include "bench/load/dialects/nats_message.h"

enum nats_stage { EXPECT_INFO, EXPECT_PONG, READY };

static enum dialect_item read_messages(struct talk *talk, struct str *message, struct str *out, struct buf *answer)
{
    for (;;) {
        enum nats_result result = nats_next(message, out);
        if (result == NATS_MORE)
            return DIALECT_MORE;
        if (result == NATS_MSG && talk->stage == READY)
            return DIALECT_EVENT;
        if (result == NATS_PING) {
            buf_append_lit(answer, "PONG\r\n");
        } else if (result == NATS_INFO && talk->stage == EXPECT_INFO) {
            nats_append_connect(answer);
            nats_append_subscribe(answer, talk->channel);
            talk->stage = EXPECT_PONG;
        } else if (result == NATS_PONG && talk->stage == EXPECT_PONG) {
            talk->stage = READY;
            return DIALECT_READY;
        } else if (result != NATS_INFO &&
                   result != NATS_OK) { /* the server sends INFO again when its cluster changes */
            return DIALECT_OTHER;
        }
    }
}

const struct bench_dialect dialect_nats = {
    .name = "nats",
    .path = "/",
    .is_binary = true,
    .transports = 1 << TRANSPORT_WEBSOCKET,
    .usual = TRANSPORT_WEBSOCKET,
    .append_query = dialect_append_nothing,
    .open = dialect_open_silent,
    .read = read_messages,
    .publish = nats_append_publish,
};
