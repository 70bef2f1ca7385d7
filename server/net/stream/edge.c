/* edge.c - see edge.h. Facts about libwebsockets that it is built on:
 *
 * - No validity timers: their list is linear.
 * - If the protocol has no rx_buffer_size, each read goes into one buffer of the context (pt_serv_buf_size). With TLS
 *   that buffer must hold a whole record (16 KiB), because bytes must not wait inside OpenSSL. Also, 4.3.3 (Ubuntu
 *   24.04) drops a connection whose record takes more than ten reads (warmcat/libwebsockets#3184).
 * - On a foreign loop the first call of lws_context_destroy closes its handles, and a second call frees the context. In
 *   between the loop must have run the close callbacks.
 * - The first call closes the descriptor of its event pipe, and a close callback closes that number once more. */
#include "server/net/stream/edge.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "server/net/stream/stream_private.h"

enum {
    SERVICE_BUFFER = 32768, /* see above */
};

bool edge_reap(struct edge *edge)
{
    bool any = false;
    for (struct list_link *link; (link = list_take_first(&edge->cut)); any = true)
        stream_end_now(CONTAINER_OF(link, struct stream, cut_link));
    for (struct list_link *link; (link = list_take_first(&edge->resumed)); any = true)
        stream_resume(CONTAINER_OF(link, struct kept_input, link));
    return any;
}

static void emit(int level, const char *line)
{
    size_t len = strcspn(line, "\n");
    (void)level;
    log_warn("lws", "%.*s", (int)len, line);
}

/* Once libwebsockets has begun, its log is silent. It formats each line in one static buffer, for which several workers
 * would race. It also logs each adopted socket as an error. Since 4.3 it counts loggers for all contexts in one place
 * that is not for threads. So each context gets a place of its own. */
static void say_errors(struct edge *edge, struct lws_context_creation_info *info, bool wanted)
{
    lws_set_log_level(wanted ? LLL_ERR : 0, emit);
#if LWS_LIBRARY_VERSION_NUMBER >= 4003000
    edge->log.u.emit = emit;
    edge->log.lll_flags = wanted ? LLL_ERR : 0;
    info->log_cx = &edge->log;
#else
    (void)edge;
    (void)info;
#endif
}

static const struct lws_protocols protocols[] = {
    {.name = "raw", .callback = stream_callback},
    {.name = NULL},
};

/* tls.c chooses the settings of TLS, once the vhost is there. Our own deadlines cut clients, so that of lws must not
 * come before them. Not given an SSL_CTX for clients, lws loads all authorities of the system into one, and with
 * several contexts leaks it. */
static void speak_tls(struct edge *edge, struct lws_context_creation_info *info, uint64_t handshake_timeout_us)
{
    edge->ssl_unused = SSL_CTX_new(TLS_client_method());
    info->provided_client_ssl_ctx = edge->ssl_unused;
    info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info->timeout_secs = (unsigned)(handshake_timeout_us / 1000000) + 2;
}

static bool create_vhosts(struct edge *edge, struct lws_context_creation_info *info, struct tls_identity *tls)
{
    info->vhost_name = "internal";
    edge->internal = lws_create_vhost(edge->lws, info);
    info->vhost_name = "public";
    if (tls) {
        info->options |= LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
        edge->identity = tls_identity_ref(tls);
    }
    edge->open = lws_create_vhost(edge->lws, info);
    if (!edge->internal || !edge->open)
        return false;
    if (!edge->identity)
        return true;
    if (!edge->ssl || !tls_set_up(edge->ssl, &edge->identity))
        return false;
    stream_watch_handshakes(edge->ssl);
    return true;
}

/* Of one whose beginning has failed. */
static void take_down(struct edge *edge)
{
    edge_stop(edge);
    while (!edge_is_down(edge))
        uv_run(edge->loop, UV_RUN_NOWAIT);
    edge_destroy(edge);
}

enum err edge_create(const struct edge_options *options, struct edge **out, struct error *error)
{
    static const lws_retry_bo_t no_validity = {0};
    struct edge *edge = xcalloc(1, sizeof *edge);
    void *loops[1] = {options->loop};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .foreign_loops = loops,
        .pcontext = &edge->lws,
        .user = edge,
        .retry_and_idle_policy = &no_validity,
        .pt_serv_buf_size = SERVICE_BUFFER,
    };
    edge->index = options->index;
    edge->loop = options->loop;
    edge->turn = options->turn;
    edge->sockets = options->sockets;
    if (options->tls)
        speak_tls(edge, &info, options->handshake_timeout_us);
    list_init(&edge->streams);
    list_init(&edge->cut);
    list_init(&edge->resumed);
    say_errors(edge, &info, true);
    edge->lws = lws_create_context(&info);
    bool good = edge->lws && create_vhosts(edge, &info, options->tls);
    say_errors(edge, &info, false);
    if (!good) {
        take_down(edge);
        return error_set(error, ERR_INTERNAL_ERROR,
                         "libwebsockets could not start on the worker's loop: is its libuv plugin installed "
                         "(package libwebsockets-evlib-uv), and is the limit on open files high enough?");
    }
    *out = edge;
    return ERR_NONE;
}

void edge_use_identity(struct edge *edge, struct tls_identity *tls)
{
    if (!edge->ssl || tls == edge->identity)
        return;
    tls_identity_unref(edge->identity);
    edge->identity = tls_identity_ref(tls);
    if (!tls_use_tickets(edge->ssl, tls))
        log_error("net", "worker %u: OpenSSL does not take another key for session tickets", edge->index);
}

/* Descriptors that the loop polls. */
struct polled {
    int fds[32];
    size_t count;
};

static void note_polled(uv_handle_t *handle, void *argument)
{
    struct polled *polled = argument;
    const size_t room = sizeof polled->fds / sizeof *polled->fds;
    if (handle->type == UV_POLL && polled->count < room && uv_fileno(handle, &polled->fds[polled->count]) == 0)
        polled->count++;
}

/* The first step of its end. A number that is closed here will be closed once more. A socket that is opened meanwhile
 * must not get it, so it is taken at once. */
static void begin_destroy(struct edge *edge)
{
    struct polled polled = {.count = 0};
    uv_walk(edge->loop, note_polled, &polled);
    lws_context_destroy(edge->lws);
    for (size_t i = 0; i < polled.count; i++) {
        if (fcntl(polled.fds[i], F_GETFD) >= 0)
            continue;
        int taken = fcntl(uv_backend_fd(edge->loop), F_DUPFD_CLOEXEC, polled.fds[i]);
        if (taken >= 0 && taken != polled.fds[i]) /* another thread was faster */
            close(taken);
    }
}

void edge_stop(struct edge *edge)
{
    if (edge->stopping)
        return;
    edge->stopping = true;
    LIST_EACH(link, &edge->streams)
    stream_cut(CONTAINER_OF(link, struct stream, link));
    edge_reap(edge);
    begin_destroy(edge);
}

bool edge_is_down(struct edge *edge)
{
    if (edge->connections > 0)
        return false;
    if (edge->lws && ++edge->turns_down > 2)
        lws_context_destroy(edge->lws);
    return edge->lws == NULL;
}

void edge_destroy(struct edge *edge)
{
    SSL_CTX_free(edge->ssl_unused);
    tls_identity_unref(edge->identity);
    free(edge);
}
