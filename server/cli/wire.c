/* wire.c - see wire.h. libcurl resolves the name, connects, and does TLS. The socket never blocks. poll waits, up to
 * the deadline. */
#include "server/cli/wire.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"

enum { READ_CHUNK = 16 * 1024 };

struct wire {
    CURL *easy;
    curl_socket_t fd;
    int output_fd; /* of wire_watch_output, or -1 */
    char why[CURL_ERROR_SIZE];
};

static enum wire_result fail(enum wire_result result, struct error *error, const char *text)
{
    error_set(error, ERR_UNAVAILABLE, "%s", text);
    return result;
}

static uint64_t left_ms(uint64_t deadline_us)
{
    uint64_t now_us = clock_now_us();
    return deadline_us > now_us ? (deadline_us - now_us + 999) / 1000 : 0;
}

static enum wire_result wait_for(const struct wire *wire, short events, uint64_t deadline_us, struct error *error)
{
    /* Of the output only POLLERR and POLLHUP matter, which poll reports unasked. It ignores a descriptor of -1. */
    struct pollfd fds[] = {{.fd = wire->fd, .events = events}, {.fd = wire->output_fd}};
    for (;;) {
        uint64_t ms = left_ms(deadline_us);
        int ready = poll(fds, 2, ms > 1000000 ? 1000000 : (int)ms);
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

/* What to do after libcurl's send or receive. WIRE_OK: the same again. */
static enum wire_result after(struct wire *wire, CURLcode code, short events, uint64_t deadline_us, struct error *error)
{
    if (code == CURLE_AGAIN)
        return wait_for(wire, events, deadline_us, error);
    return fail(WIRE_FAILED, error, wire->why[0] ? wire->why : curl_easy_strerror(code));
}

/* The variables are those of OpenSSL, which libcurl does not read. */
static void set_authorities(CURL *easy)
{
    const char *file = getenv("SSL_CERT_FILE"), *folder = getenv("SSL_CERT_DIR");
    if (file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    if (folder)
        curl_easy_setopt(easy, CURLOPT_CAPATH, folder);
}

static CURLcode connect_to(struct wire *wire, const struct url *url, uint64_t deadline_us)
{
    struct buf text = {0};
    uint64_t ms = left_ms(deadline_us);
    buf_appendf(&text, "%s://%.*s/", url->secure ? "https" : "http", STR_ARG(url->authority));
    curl_easy_setopt(wire->easy, CURLOPT_URL, buf_cstr(&text));
    buf_fini(&text);
    curl_easy_setopt(wire->easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(wire->easy, CURLOPT_CONNECTTIMEOUT_MS, ms > 1 ? (long)ms : 1L);
    curl_easy_setopt(wire->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(wire->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* by ALPN, too */
    curl_easy_setopt(wire->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(wire->easy, CURLOPT_ERRORBUFFER, wire->why);
    set_authorities(wire->easy);
    CURLcode code = curl_easy_perform(wire->easy);
    return code ? code : curl_easy_getinfo(wire->easy, CURLINFO_ACTIVESOCKET, &wire->fd);
}

struct wire *wire_open(const struct url *url, uint64_t deadline_us, struct error *error)
{
    struct wire *wire = xcalloc(1, sizeof *wire);
    wire->output_fd = -1;
    wire->easy = curl_easy_init();
    if (!wire->easy)
        abort(); /* no memory */
    CURLcode code = connect_to(wire, url, deadline_us);
    if (code == CURLE_OK)
        return wire;
    long failure = 0;
    curl_easy_getinfo(wire->easy, CURLINFO_OS_ERRNO, &failure);
    const char *why = code == CURLE_COULDNT_CONNECT && failure ? strerror((int)failure)
                      : wire->why[0]                           ? wire->why
                                                               : curl_easy_strerror(code);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        error_set(error, ERR_INVALID_REQUEST,
                  "cannot connect to %.*s: the server's certificate is not accepted: %s (SSL_CERT_FILE can name the "
                  "file of its authority)",
                  STR_ARG(url->authority), why);
    else
        error_set(error, ERR_UNAVAILABLE, "cannot connect to %.*s: %s", STR_ARG(url->authority), why);
    wire_close(wire);
    return NULL;
}

void wire_close(struct wire *wire)
{
    if (!wire)
        return;
    curl_easy_cleanup(wire->easy);
    free(wire);
}

void wire_watch_output(struct wire *wire, int fd)
{
    wire->output_fd = fd;
}

enum wire_result wire_write(struct wire *wire, struct str bytes, uint64_t deadline_us, struct error *error)
{
    while (bytes.len > 0) {
        size_t written = 0;
        CURLcode code = curl_easy_send(wire->easy, bytes.ptr, bytes.len, &written);
        enum wire_result next = code ? after(wire, code, POLLOUT, deadline_us, error) : WIRE_OK;
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
        size_t got = 0;
        CURLcode code = curl_easy_recv(wire->easy, out->ptr + out->len, READ_CHUNK, &got);
        if (code == CURLE_OK && got == 0)
            return fail(WIRE_CLOSED, error, "the server closed the connection");
        out->len += got;
        if (code == CURLE_OK)
            return WIRE_OK;
        enum wire_result next = after(wire, code, POLLIN, deadline_us, error);
        if (next != WIRE_OK)
            return next;
    }
}
