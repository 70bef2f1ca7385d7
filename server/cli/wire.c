/* wire.c - see wire.h. libcurl resolves the name, connects, and does TLS. The socket never blocks. poll waits, up to
 * the deadline. */
#include "server/cli/wire.h"

#include <errno.h>
#include <poll.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "server/cli/curl_handle.h"

enum { READ_CHUNK = 16 * 1024 };

struct wire {
    struct curl_handle handle;
    curl_socket_t fd;
    int output_fd; /* of wire_watch_output, or -1 */
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
        uint64_t ms = curl_handle_left_ms(deadline_us);
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
    return fail(WIRE_FAILED, error, curl_handle_why(&wire->handle, code));
}

struct wire *wire_open(const struct url *url, uint64_t deadline_us, struct error *error)
{
    struct wire *wire = xcalloc(1, sizeof *wire);
    wire->output_fd = -1;
    curl_handle_init(&wire->handle, url, STR("/"), deadline_us);
    CURL *easy = wire->handle.easy;
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    CURLcode code = curl_easy_perform(easy);
    if (code == CURLE_OK)
        code = curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &wire->fd);
    if (code == CURLE_OK)
        return wire;
    curl_handle_connect_error(&wire->handle, code, url, error);
    wire_close(wire);
    return NULL;
}

void wire_close(struct wire *wire)
{
    if (!wire)
        return;
    curl_handle_fini(&wire->handle);
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
        CURLcode code = curl_easy_send(wire->handle.easy, bytes.ptr, bytes.len, &written);
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
        CURLcode code = curl_easy_recv(wire->handle.easy, out->ptr + out->len, READ_CHUNK, &got);
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
