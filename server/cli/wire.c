/* wire.c - see wire.h. The socket never blocks. poll waits, up to the deadline. */
#include "server/cli/wire.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/tls/tls_peer.h"

enum { READ_CHUNK = 16 * 1024 };

struct wire {
    int fd;
    int output_fd;         /* of wire_watch_output, or -1 */
    SSL_CTX *tls_settings; /* NULL without TLS, as is tls */
    SSL *tls;
};

static enum wire_result fail(enum wire_result result, struct error *error, const char *text)
{
    error_set(error, ERR_UNAVAILABLE, "%s", text);
    return result;
}

static enum wire_result wait_for(const struct wire *wire, short events, uint64_t deadline_us, struct error *error)
{
    /* Of the output only POLLERR and POLLHUP matter, which poll reports unasked. It ignores a descriptor of -1. */
    struct pollfd fds[] = {{.fd = wire->fd, .events = events}, {.fd = wire->output_fd}};
    for (;;) {
        uint64_t now_us = clock_now_us();
        uint64_t left_ms = deadline_us > now_us ? (deadline_us - now_us + 999) / 1000 : 0;
        int ready = poll(fds, 2, left_ms > 1000000 ? 1000000 : (int)left_ms);
        if (fds[1].revents & (POLLERR | POLLHUP) && ready > 0)
            return fail(WIRE_UNHEARD, error, "nobody reads the output any more");
        if (ready > 0)
            return WIRE_OK;
        if (ready < 0 && errno != EINTR)
            return fail(WIRE_FAILED, error, strerror(errno));
        if (ready == 0 && clock_now_us() >= deadline_us)
            return fail(WIRE_TIMEOUT, error, "no answer in time");
    }
}

static bool connect_to(struct wire *wire, const struct addrinfo *address, uint64_t deadline_us, struct error *error)
{
    int on = 1, failure = 0;
    socklen_t len = sizeof failure;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        fail(WIRE_FAILED, error, strerror(errno));
        return false;
    }
    wire->fd = fd;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        if (errno != EINPROGRESS)
            failure = errno;
        else if (wait_for(wire, POLLOUT, deadline_us, error) != WIRE_OK)
            failure = ETIMEDOUT;
        else
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len);
    }
    if (failure) {
        fail(WIRE_FAILED, error, strerror(failure));
        close(fd);
        wire->fd = -1;
        return false;
    }
    /* Small messages that each wait for an answer. Where it does not work it is slower, no more. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return true;
}

static bool connect_to_any(struct wire *wire, const char *host, uint16_t port, uint64_t deadline_us,
                           struct error *error)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *addresses = NULL;
    char service[6];
    bool connected = false;
    snprintf(service, sizeof service, "%u", port);
    int result = getaddrinfo(host, service, &hints, &addresses);
    if (result != 0) {
        fail(WIRE_FAILED, error, gai_strerror(result));
        return false;
    }
    size_t left = 0;
    for (struct addrinfo *at = addresses; at; at = at->ai_next)
        left++;
    /* Each address gets its share of the time that is left, so that a dead one does not cost the others theirs. */
    for (struct addrinfo *at = addresses; at && !connected; at = at->ai_next, left--) {
        uint64_t now_us = clock_now_us();
        uint64_t share_us = deadline_us > now_us ? (deadline_us - now_us) / left : 0;
        connected = connect_to(wire, at, now_us + share_us, error);
    }
    freeaddrinfo(addresses);
    return connected;
}

/* Does what a TLS call that returned result needs next. WIRE_OK means that the caller is to call it again. */
static enum wire_result after_tls(struct wire *wire, int result, uint64_t deadline_us, struct error *error)
{
    char text[256];
    int failure = errno;
    switch (SSL_get_error(wire->tls, result)) {
    case SSL_ERROR_WANT_READ: return wait_for(wire, POLLIN, deadline_us, error);
    case SSL_ERROR_WANT_WRITE: return wait_for(wire, POLLOUT, deadline_us, error);
    case SSL_ERROR_ZERO_RETURN: return fail(WIRE_CLOSED, error, "the server closed the connection");
    default: break;
    }
    long verified = SSL_get_verify_result(wire->tls);
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (verified != X509_V_OK) {
        error_set(error, ERR_INVALID_REQUEST,
                  "the server's certificate is not accepted: %s (SSL_CERT_FILE can name the file of its authority)",
                  X509_verify_cert_error_string(verified));
        return WIRE_FAILED;
    }
    if (code)
        snprintf(text, sizeof text, "TLS failed: %s", ERR_reason_error_string(code));
    else
        snprintf(text, sizeof text, "TLS failed: %s", failure ? strerror(failure) : "the connection was cut");
    return fail(WIRE_FAILED, error, text);
}

static enum wire_result start_tls(struct wire *wire, const char *host, uint64_t deadline_us, struct error *error)
{
    static const unsigned char alpn[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    wire->tls_settings = SSL_CTX_new(TLS_client_method());
    if (!wire->tls_settings)
        return fail(WIRE_FAILED, error, "TLS cannot be set up");
    SSL_CTX_set_min_proto_version(wire->tls_settings, TLS1_2_VERSION);
    SSL_CTX_set_default_verify_paths(wire->tls_settings);
    SSL_CTX_set_verify(wire->tls_settings, SSL_VERIFY_PEER, NULL);
    wire->tls = SSL_new(wire->tls_settings);
    if (!wire->tls || SSL_set_fd(wire->tls, wire->fd) != 1 || SSL_set_alpn_protos(wire->tls, alpn, sizeof alpn) != 0)
        return fail(WIRE_FAILED, error, "TLS cannot be set up");
    if (!tls_peer_expect(wire->tls, host))
        return fail(WIRE_FAILED, error, "the host name cannot be checked by TLS");
    for (;;) {
        int result = SSL_connect(wire->tls);
        if (result == 1)
            return WIRE_OK;
        enum wire_result next = after_tls(wire, result, deadline_us, error);
        if (next != WIRE_OK)
            return next;
    }
}

struct wire *wire_open(const struct url *url, uint64_t deadline_us, struct error *error)
{
    struct error cause = {0};
    struct wire *wire = xcalloc(1, sizeof *wire);
    char *host = str_dup(url->host);
    wire->fd = wire->output_fd = -1;
    if (!connect_to_any(wire, host, url->port, deadline_us, &cause) ||
        (url->secure && start_tls(wire, host, deadline_us, &cause) != WIRE_OK)) {
        error_set(error, cause.code, "cannot connect to %.*s: %s", STR_ARG(url->authority), cause.text);
        wire_close(wire);
        wire = NULL;
    }
    free(host);
    return wire;
}

void wire_close(struct wire *wire)
{
    if (!wire)
        return;
    if (wire->tls && SSL_is_init_finished(wire->tls))
        SSL_shutdown(wire->tls);
    SSL_free(wire->tls);
    SSL_CTX_free(wire->tls_settings);
    if (wire->fd >= 0)
        close(wire->fd);
    free(wire);
}

void wire_watch_output(struct wire *wire, int fd)
{
    wire->output_fd = fd;
}

enum wire_result wire_write(struct wire *wire, struct str bytes, uint64_t deadline_us, struct error *error)
{
    while (bytes.len > 0) {
        enum wire_result next = WIRE_OK;
        size_t written = 0;
        if (wire->tls) {
            int result = SSL_write_ex(wire->tls, bytes.ptr, bytes.len, &written);
            if (result != 1)
                next = after_tls(wire, result, deadline_us, error);
        } else {
            ssize_t sent = send(wire->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
            if (sent >= 0)
                written = (size_t)sent;
            else if (errno == EAGAIN || errno == EINTR)
                next = wait_for(wire, POLLOUT, deadline_us, error);
            else
                next = fail(WIRE_FAILED, error, strerror(errno));
        }
        if (next != WIRE_OK)
            return next;
        bytes = str_skip(bytes, written);
    }
    return WIRE_OK;
}

enum wire_result wire_read(struct wire *wire, struct buf *out, uint64_t deadline_us, struct error *error)
{
    buf_reserve(out, READ_CHUNK);
    for (;;) {
        enum wire_result next;
        size_t got = 0;
        if (wire->tls) {
            int result = SSL_read_ex(wire->tls, out->ptr + out->len, READ_CHUNK, &got);
            next = result == 1 ? WIRE_OK : after_tls(wire, result, deadline_us, error);
        } else {
            ssize_t received = recv(wire->fd, out->ptr + out->len, READ_CHUNK, 0);
            if (received > 0) {
                got = (size_t)received;
                next = WIRE_OK;
            } else if (received == 0) {
                next = fail(WIRE_CLOSED, error, "the server closed the connection");
            } else if (errno == EAGAIN || errno == EINTR) {
                next = wait_for(wire, POLLIN, deadline_us, error);
            } else {
                next = fail(WIRE_FAILED, error, strerror(errno));
            }
        }
        out->len += got;
        if (got > 0 || next != WIRE_OK)
            return next;
    }
}
