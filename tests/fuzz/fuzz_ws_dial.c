/* fuzz_ws_dial.c - URLs, and the answers to the opening handshake of our own WebSocket client. A stranger may have the
 * server's port. An input has three parts: a byte that says how much comes at once, a URL up to the first line end,
 * then the answer. However the answer is cut, the client must come to the same result. */
#include <stdlib.h>

#include "server/cli/ws_dial.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct wire {
    struct str rest;
    size_t step;
};

static struct wire the_wire;

static void require(bool condition)
{
    if (!condition)
        abort();
}

enum wire_result wire_write(struct wire *wire, struct str bytes, uint64_t deadline_us, struct error *error)
{
    (void)wire;
    (void)deadline_us;
    (void)error;
    require(bytes.len > 4 && str_eq(str_from(bytes.ptr + bytes.len - 4, 4), STR("\r\n\r\n")));
    return WIRE_OK;
}

enum wire_result wire_read(struct wire *wire, struct buf *out, uint64_t deadline_us, struct error *error)
{
    (void)deadline_us;
    size_t len = wire->rest.len < wire->step ? wire->rest.len : wire->step;
    if (len == 0) {
        error_set(error, ERR_UNAVAILABLE, "the server has closed the connection");
        return WIRE_CLOSED;
    }
    buf_append(out, str_from(wire->rest.ptr, len));
    wire->rest = str_from(wire->rest.ptr + len, wire->rest.len - len);
    return WIRE_OK;
}

static enum ws_dial_result dial(const struct url *url, struct str answer, size_t step, struct http_reply *out_refusal,
                                struct buf *received)
{
    struct error error = {0};
    const struct ws_request request = {.host = url->authority, .target = url->target};
    the_wire = (struct wire){.rest = answer, .step = step};
    enum ws_dial_result result = ws_dial(&the_wire, &request, 0, received, out_refusal, &error);
    require(result == WS_DIAL_REFUSED || (result != WS_DIAL_OPEN) == (error.text[0] != '\0'));
    return result;
}

static bool lies_within(struct str part, struct str whole)
{
    return part.len == 0 || str_eq(part, STR("/")) ||
           (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct url url;
    struct error error;
    struct http_reply slowly = {0}, at_once = {0};
    struct buf received = {0};
    if (len == 0)
        return 0;
    struct str answer = str_from((const char *)bytes + 1, len - 1);
    struct str text = str_split(&answer, '\n');
    if (url_parse(text, "ws", &url, &error) != ERR_NONE || !answer.ptr)
        return 0;
    require(lies_within(url.host, text) && lies_within(url.authority, text) && lies_within(url.target, text) &&
            lies_within(url.path, text) && lies_within(url.query, text) && lies_within(url.shown, text));
    enum ws_dial_result result = dial(&url, answer, (size_t)bytes[0] + 1, &slowly, &received);
    buf_clear(&received);
    require(result == dial(&url, answer, len, &at_once, &received));
    if (result == WS_DIAL_REFUSED) {
        require(slowly.status == at_once.status && slowly.retry_after_s == at_once.retry_after_s);
        require(str_eq(buf_str(&slowly.body), buf_str(&at_once.body)));
        require(http_reply_error(&slowly, &error) != ERR_NONE && error.text[0] != '\0');
    }
    buf_fini(&received);
    http_reply_fini(&slowly);
    http_reply_fini(&at_once);
    return 0;
}
