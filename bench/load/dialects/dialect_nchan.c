/* dialect_nchan.c - nginx with nchan: a location for subscribers under /sub/ and one for publishers under /pub/, both
 * with the channel's id behind it. */
#include "bench/load/dialects/bench_dialect.h"

static void append_id(struct buf *out, struct str channel)
{
    buf_append_char(out, '/');
    dialect_append_encoded(out, channel);
}

static void append_post_target(struct buf *out, struct str channel)
{
    buf_append_lit(out, "/pub");
    append_id(out, channel);
}

const struct bench_dialect dialect_nchan = {
    .name = "nchan",
    .path = "/sub",
    .transports = 1 << TRANSPORT_HTTP,
    .usual = TRANSPORT_HTTP,
    .append_query = append_id,
    .open = dialect_open_ready,
    .read = dialect_read_whole,
    .append_post_target = append_post_target,
    .append_post_body = dialect_append_data_alone,
};
