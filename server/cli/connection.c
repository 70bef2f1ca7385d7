/* connection.c - see connection.h. The socket never blocks; waiting is done by poll, up to the deadline. */
#include "server/cli/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"

enum { READ_CHUNK = 16 * 1024 };

struct connection {
    int fd;
    SSL_CTX *tls_settings; /* NULL without TLS, as is tls */
    SSL *tls;
};

static enum connection_result fail(enum connection_result result, struct error *error, const char *text)
{
    error_set(error, ERR_UNAVAILABLE, "%s", text);
    return result;
}

static enum connection_result wait_for(int fd, short events, uint64_t deadline_us, struct error *error)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    for (;;) {
        uint64_t now_us = clock_now_us();
        uint64_t left_ms = deadline_us > now_us ? (deadline_us - now_us + 999) / 1000 : 0;
        int ready = poll(&poll_fd, 1, left_ms > 1000000 ? 1000000 : (int)left_ms);
        if (ready > 0)
            return CONNECTION_OK;
        if (ready < 0 && errno != EINTR)
            return fail(CONNECTION_FAILED, error, strerror(errno));
        if (ready == 0 && clock_now_us() >= deadline_us)
            return fail(CONNECTION_TIMEOUT, error, "no answer in time");
    }
}

/* A connected socket, or -1. */
static int connect_to(const struct addrinfo *address, uint64_t deadline_us, struct error *error)
{
    int on = 1, failure = 0;
    socklen_t len = sizeof failure;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        fail(CONNECTION_FAILED, error, strerror(errno));
        return -1;
    }
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        if (errno != EINPROGRESS)
            failure = errno;
        else if (wait_for(fd, POLLOUT, deadline_us, error) != CONNECTION_OK)
            failure = ETIMEDOUT;
        else
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len);
    }
    if (failure) {
        fail(CONNECTION_FAILED, error, strerror(failure));
        close(fd);
        return -1;
    }
    /* Small messages that each wait for an answer. Where it does not work it is slower, no more. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static int connect_to_any(const char *host, uint16_t port, uint64_t deadline_us, struct error *error)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *addresses = NULL;
    char service[6];
    int fd = -1;
    snprintf(service, sizeof service, "%u", port);
    int result = getaddrinfo(host, service, &hints, &addresses);
    if (result != 0) {
        fail(CONNECTION_FAILED, error, gai_strerror(result));
        return -1;
    }
    size_t left = 0;
    for (struct addrinfo *at = addresses; at; at = at->ai_next)
        left++;
    /* Each address gets its share of the time that is left, so that a dead one does not cost the others theirs. */
    for (struct addrinfo *at = addresses; at && fd < 0; at = at->ai_next, left--) {
        uint64_t now_us = clock_now_us();
        uint64_t share_us = deadline_us > now_us ? (deadline_us - now_us) / left : 0;
        fd = connect_to(at, now_us + share_us, error);
    }
    freeaddrinfo(addresses);
    return fd;
}

/* What to do after a TLS call that returned result: OK means call it again. */
static enum connection_result after_tls(struct connection *connection, int result, uint64_t deadline_us,
                                        struct error *error)
{
    char text[256];
    int failure = errno;
    switch (SSL_get_error(connection->tls, result)) {
    case SSL_ERROR_WANT_READ: return wait_for(connection->fd, POLLIN, deadline_us, error);
    case SSL_ERROR_WANT_WRITE: return wait_for(connection->fd, POLLOUT, deadline_us, error);
    case SSL_ERROR_ZERO_RETURN: return fail(CONNECTION_CLOSED, error, "the server closed the connection");
    default: break;
    }
    long verified = SSL_get_verify_result(connection->tls);
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (verified != X509_V_OK) {
        error_set(error, ERR_INVALID_REQUEST,
                  "the server's certificate is not accepted: %s (SSL_CERT_FILE can name the file of its authority)",
                  X509_verify_cert_error_string(verified));
        return CONNECTION_FAILED;
    }
    if (code)
        snprintf(text, sizeof text, "TLS failed: %s", ERR_reason_error_string(code));
    else
        snprintf(text, sizeof text, "TLS failed: %s", failure ? strerror(failure) : "the connection was cut");
    return fail(CONNECTION_FAILED, error, text);
}

static enum connection_result start_tls(struct connection *connection, char *host, uint64_t deadline_us,
                                        struct error *error)
{
    static const unsigned char alpn[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char address[16];
    bool is_address = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    connection->tls_settings = SSL_CTX_new(TLS_client_method());
    if (!connection->tls_settings)
        return fail(CONNECTION_FAILED, error, "TLS cannot be set up");
    SSL_CTX_set_min_proto_version(connection->tls_settings, TLS1_2_VERSION);
    SSL_CTX_set_default_verify_paths(connection->tls_settings);
    SSL_CTX_set_verify(connection->tls_settings, SSL_VERIFY_PEER, NULL);
    connection->tls = SSL_new(connection->tls_settings);
    if (!connection->tls || SSL_set_fd(connection->tls, connection->fd) != 1 ||
        SSL_set_alpn_protos(connection->tls, alpn, sizeof alpn) != 0)
        return fail(CONNECTION_FAILED, error, "TLS cannot be set up");
    /* Checking the name is not a default: without one of these any valid certificate would do. */
    int named = is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection->tls), host)
                           : SSL_set1_host(connection->tls, host) && SSL_set_tlsext_host_name(connection->tls, host);
    if (!named)
        return fail(CONNECTION_FAILED, error, "the host name cannot be checked by TLS");
    for (;;) {
        int result = SSL_connect(connection->tls);
        if (result == 1)
            return CONNECTION_OK;
        enum connection_result next = after_tls(connection, result, deadline_us, error);
        if (next != CONNECTION_OK)
            return next;
    }
}

struct connection *connection_open(const struct url *url, uint64_t deadline_us, struct error *error)
{
    struct error cause = {0};
    struct connection *connection = xcalloc(1, sizeof *connection);
    char *host = str_dup(url->host);
    connection->fd = connect_to_any(host, url->port, deadline_us, &cause);
    if (connection->fd < 0 || (url->secure && start_tls(connection, host, deadline_us, &cause) != CONNECTION_OK)) {
        error_set(error, cause.code, "cannot connect to %.*s: %s", STR_ARG(url->authority), cause.text);
        connection_close(connection);
        connection = NULL;
    }
    free(host);
    return connection;
}

void connection_close(struct connection *connection)
{
    if (!connection)
        return;
    if (connection->tls && SSL_is_init_finished(connection->tls))
        SSL_shutdown(connection->tls);
    SSL_free(connection->tls);
    SSL_CTX_free(connection->tls_settings);
    if (connection->fd >= 0)
        close(connection->fd);
    free(connection);
}

enum connection_result connection_write(struct connection *connection, struct str bytes, uint64_t deadline_us,
                                        struct error *error)
{
    while (bytes.len > 0) {
        enum connection_result next = CONNECTION_OK;
        size_t written = 0;
        if (connection->tls) {
            int result = SSL_write_ex(connection->tls, bytes.ptr, bytes.len, &written);
            if (result != 1)
                next = after_tls(connection, result, deadline_us, error);
        } else {
            ssize_t sent = send(connection->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
            if (sent >= 0)
                written = (size_t)sent;
            else if (errno == EAGAIN || errno == EINTR)
                next = wait_for(connection->fd, POLLOUT, deadline_us, error);
            else
                next = fail(CONNECTION_FAILED, error, strerror(errno));
        }
        if (next != CONNECTION_OK)
            return next;
        bytes = str_from(bytes.ptr + written, bytes.len - written);
    }
    return CONNECTION_OK;
}

enum connection_result connection_read(struct connection *connection, struct buf *out, uint64_t deadline_us,
                                       struct error *error)
{
    buf_reserve(out, READ_CHUNK);
    for (;;) {
        enum connection_result next;
        size_t got = 0;
        if (connection->tls) {
            int result = SSL_read_ex(connection->tls, out->ptr + out->len, READ_CHUNK, &got);
            next = result == 1 ? CONNECTION_OK : after_tls(connection, result, deadline_us, error);
        } else {
            ssize_t received = recv(connection->fd, out->ptr + out->len, READ_CHUNK, 0);
            if (received > 0) {
                got = (size_t)received;
                next = CONNECTION_OK;
            } else if (received == 0) {
                next = fail(CONNECTION_CLOSED, error, "the server closed the connection");
            } else if (errno == EAGAIN || errno == EINTR) {
                next = wait_for(connection->fd, POLLIN, deadline_us, error);
            } else {
                next = fail(CONNECTION_FAILED, error, strerror(errno));
            }
        }
        out->len += got;
        if (got > 0 || next != CONNECTION_OK)
            return next;
    }
}
