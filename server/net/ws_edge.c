/* ws_edge.c - see ws.h: the libwebsockets context of a worker, up and down. Facts about libwebsockets that it is built
 * on:
 *
 * - A connection is ended by LWS_TO_KILL_SYNC, and only while none of its callbacks runs: hence the doomed list.
 * - No extensions: permessage-deflate of these versions aborts on hostile input. No validity timers: their list is
 *   linear.
 * - With TLS it reads a record (16 KiB) in pieces of rx_buffer_size, and drops a connection whose record is not read
 *   after ten of them: 4.3.3 (Ubuntu 24.04), warmcat/libwebsockets#3184; 4.3.5 after a hundred, 4.1.6 never.
 * - On a loop that is not its own it closes its handles with the first call of lws_context_destroy, and frees itself
 *   with a second one; in between the loop must have run their close callbacks. */
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "server/net/admit.h"
#include "server/net/ws_private.h"

enum {
    RX_CHUNK = 1024,        /* what RECEIVE brings at most; a buffer of each connection, most of its memory */
    RX_CHUNK_TLS = 4096,    /* a record of TLS in four reads, see above */
    TX_CHUNK = 1024 * 1024, /* never cut what the hub has joined */
    HEAD_MAX = 32768,       /* more than head_bytes can be; kept for as long as an upgrade takes */
    HEADS_AT_ONCE = 16,
    SERVICE_BUFFER = 32768, /* more than a TLS record: else bytes could wait inside of OpenSSL for ever */
};

static int show_certificate(struct ws_edge *edge)
{
    struct error error;
    if (tls_identity_use(edge->worker->settings->tls, edge->ssl, &error) == ERR_NONE)
        return 0;
    log_error("net", "worker %u: %s", edge->worker->index, error.text);
    return -1;
}

int ws_edge_set_up_tls(struct lws *wsi, SSL_CTX *ssl)
{
    struct ws_edge *edge = lws_context_user(lws_get_context(wsi));
    edge->ssl = ssl;
    return show_certificate(edge);
}

bool ws_edge_reap(struct ws_edge *edge)
{
    bool any = false;
    for (struct list_link *link; (link = list_take_first(&edge->doomed)); any = true) {
        struct ws *ws = CONTAINER_OF(link, struct ws, doomed_link);
        ws_end_session(ws);
        ws->closing = true;
        /* With bytes unsent lws would wait for the peer to take them; after this it cannot. */
        shutdown(lws_get_socket_fd(ws->wsi), SHUT_RDWR);
        lws_set_timeout(ws->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
    }
    return any;
}

static void emit(int level, const char *line)
{
    size_t len = strcspn(line, "\n");
    (void)level;
    log_warn("lws", "%.*s", (int)len, line);
}

static const struct lws_protocols protocols[] = {
    {.name = ADMISSION_PROTOCOL, .callback = ws_callback, .rx_buffer_size = RX_CHUNK, .tx_packet_size = TX_CHUNK},
    {.name = NULL},
};
static const struct lws_protocols protocols_tls[] = {
    {.name = ADMISSION_PROTOCOL, .callback = ws_callback, .rx_buffer_size = RX_CHUNK_TLS, .tx_packet_size = TX_CHUNK},
    {.name = NULL},
};

/* The certificate comes by set_up_tls. Clients are cut by our own deadlines; lws's are only not to come before. Not
 * given an SSL_CTX for clients, lws loads all authorities of the system into one, and with several contexts leaks it.
 */
static void speak_tls(struct ws_edge *edge, struct lws_context_creation_info *info)
{
    edge->ssl_unused = SSL_CTX_new(TLS_client_method());
    info->provided_client_ssl_ctx = edge->ssl_unused;
    info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
    info->protocols = protocols_tls;
    info->alpn = "http/1.1";        /* never h2 */
    info->max_http_header_pool = 0; /* one for each connection: slow strangers must not keep others waiting */
    info->timeout_secs = (unsigned)(edge->worker->settings->head_timeout_us / 1000000) + 2;
    info->timeout_secs_ah_idle = info->timeout_secs;
}

enum err ws_edge_create(struct worker *worker, struct ws_edge **out, struct error *error)
{
    static const lws_retry_bo_t no_validity = {0};
    struct ws_edge *edge = xcalloc(1, sizeof *edge);
    void *loops[1] = {worker->loop};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .foreign_loops = loops,
        .pcontext = &edge->lws,
        .user = edge,
        .retry_and_idle_policy = &no_validity,
        .max_http_header_data = HEAD_MAX,
        .max_http_header_pool = HEADS_AT_ONCE,
        .pt_serv_buf_size = SERVICE_BUFFER,
        .vhost_name = "carillon",
    };
    edge->worker = worker;
    if (worker->settings->tls)
        speak_tls(edge, &info);
    list_init(&edge->sockets);
    list_init(&edge->doomed);
    lws_set_log_level(LLL_ERR, emit);
    edge->lws = lws_create_context(&info);
    if (edge->lws)
        edge->vhost = lws_create_vhost(edge->lws, &info);
    /* From here on it is silent: it formats each line in one static buffer, which several workers would race for, and
     * calls each adopted socket an error. */
    lws_set_log_level(0, emit);
    if (!edge->vhost) {
        ws_edge_destroy(edge);
        return error_set(error, ERR_INTERNAL_ERROR,
                         "libwebsockets could not start on the worker's loop: is its libuv plugin installed "
                         "(package libwebsockets-evlib-uv), and is the limit on open files high enough?");
    }
    *out = edge;
    return ERR_NONE;
}

void ws_edge_configure(struct ws_edge *edge)
{
    if (edge->ssl)
        show_certificate(edge);
    LIST_EACH(link, &edge->sockets)
    ws_follow(CONTAINER_OF(link, struct ws, link), edge->worker->settings);
}

void ws_edge_stop(struct ws_edge *edge)
{
    if (edge->stopping)
        return;
    edge->stopping = true;
    LIST_EACH(link, &edge->sockets)
    ws_doom(CONTAINER_OF(link, struct ws, link));
    ws_edge_reap(edge);
    lws_context_destroy(edge->lws);
}

bool ws_edge_is_down(struct ws_edge *edge)
{
    if (!list_is_empty(&edge->sockets))
        return false;
    if (edge->lws && ++edge->turns_down > 2)
        lws_context_destroy(edge->lws);
    return edge->lws == NULL;
}

void ws_edge_destroy(struct ws_edge *edge)
{
    SSL_CTX_free(edge->ssl_unused);
    free(edge);
}
