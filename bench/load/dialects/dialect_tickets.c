/* dialect_tickets.c - tickets of Carillon's HTTP API. Each POST gets one, for a user of the load. There are no
 * subscribers: what tickets are good for is the scenario connect. */
#include "bench/load/dialects/bench_dialect.h"

static void append_post_target(struct buf *out, struct str channel)
{
    (void)channel;
    buf_append_lit(out, "/api/v1/tickets");
}

static void append_post_body(struct buf *out, struct str channel, struct str data)
{
    (void)channel;
    (void)data;
    buf_append_lit(out, "{\"user\":\"bench\",\"purpose\":\"bench\",\"resource\":\"load\"}");
}

const struct bench_dialect dialect_tickets = {
    .name = "tickets",
    .path = "/",
    .transports = 1 << TRANSPORT_HTTP,
    .usual = TRANSPORT_HTTP,
    .accepted_mark = "\"ticket\":",
    .append_query = dialect_append_nothing,
    .open = dialect_open_ready,
    .read = dialect_read_whole,
    .append_post_target = append_post_target,
    .append_post_body = append_post_body,
};
