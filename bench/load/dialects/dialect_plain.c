/* dialect_plain.c - the smallest possible protocol. The channel is in the request, each event is one text message, and
 * publishing is a POST. The floor program of bench/ and its server on Node.js's ws speak it. */
#include "bench/load/dialects/bench_dialect.h"

const struct bench_dialect dialect_plain = {
    .name = "plain",
    .path = "/ws",
    .transports = 1 << TRANSPORT_HTTP,
    .usual = TRANSPORT_HTTP,
    .append_query = dialect_append_channel_query,
    .open = dialect_open_ready,
    .read = dialect_read_whole,
    .append_post_target = dialect_append_publish_target,
    .append_post_body = dialect_append_data_alone,
};
