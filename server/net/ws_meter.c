/* ws_meter.c - what clients send beside their messages: pings, pongs, empty fragments, frame headers without end.
 * libwebsockets answers or drops control frames and does not say so. They are counted by their bytes: those that have
 * been read of a connection, less those of its messages, count as one message for each control frame of the largest
 * size. An honest client is never charged for more than it has sent, and a flood is limited like one of messages. */
#include "server/net/tcp_received.h"
#include "server/net/ws_private.h"

enum {
    TICKS = 20,              /* each connection about once a second, by the worker's tick */
    MOST_A_TICK = 256,       /* with more connections less often: the work has a bound */
    CONTROL_FRAME_MAX = 131, /* header, mask and 125 bytes */
    UNDERWAY = 20480,        /* held by libwebsockets or OpenSSL: less than a record of TLS, and a receive buffer */
};

static void meter(struct ws *ws)
{
    uint64_t received;
    if (!ws->session || ws->session->state != SESSION_OPEN || !tcp_received(lws_get_socket_fd(ws->wsi), &received))
        return;
    uint64_t known = ws->metered_from + ws->message_bytes + UNDERWAY;
    uint64_t beside = received > known ? (received - known) / CONTROL_FRAME_MAX : 0;
    if (beside <= ws->charged)
        return;
    uint64_t cost = beside - ws->charged;
    ws->charged = beside;
    hub_charge(ws->edge->worker->hub, ws->session, cost);
}

void ws_meter_begin(struct ws *ws)
{
    if (!tcp_received(lws_get_socket_fd(ws->wsi), &ws->metered_from))
        ws->metered_from = UINT64_MAX / 2; /* nothing will be beside */
}

void ws_edge_meter(struct ws_edge *edge)
{
    size_t count = worker_sockets(edge->worker, false) / TICKS + 1;
    for (size_t i = 0; i < count && i < MOST_A_TICK; i++) {
        struct list_link *oldest = list_take_first(&edge->sockets);
        if (!oldest)
            return;
        list_append(&edge->sockets, oldest);
        meter(CONTAINER_OF(oldest, struct ws, link));
    }
}
