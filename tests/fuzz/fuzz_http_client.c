/* fuzz_http_client.c - URLs, and the answers that our own HTTP client gets. A stranger may have the server's port. An
 * input has three parts: a byte that says how much comes at once, a URL up to the first line end, then the answer.
 * However the answer is cut, the client must come to the same result. */
#include <stdlib.h>

#include "server/cli/http_client.h"

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

struct wire *wire_open(const struct url *url, uint64_t deadline_us, struct error *error)
{
    (void)deadline_us;
    (void)error;
    require(url->host.len > 0 && url->port > 0);
    return &the_wire;
}

void wire_close(struct wire *wire)
{
    (void)wire;
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

static enum err call(const struct url *url, struct str answer, size_t step, struct http_reply *out)
{
    struct error error = {0};
    the_wire = (struct wire){.rest = answer, .step = step};
    enum err err = http_client_call(url, "/readyz", NULL, 0, NULL, 0, out, &error);
    require((err != ERR_NONE) == (error.text[0] != '\0'));
    return err;
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
    if (len == 0)
        return 0;
    struct str answer = str_from((const char *)bytes + 1, len - 1);
    struct str text = str_split(&answer, '\n');
    if (url_parse(text, "http", &url, &error) != ERR_NONE || !answer.ptr)
        return 0;
    require(lies_within(url.host, text) && lies_within(url.authority, text) && lies_within(url.target, text) &&
            lies_within(url.path, text) && lies_within(url.query, text) && lies_within(url.shown, text));
    enum err err = call(&url, answer, (size_t)bytes[0] + 1, &slowly);
    enum err err_at_once = call(&url, answer, len, &at_once);
    require((err == ERR_NONE) == (err_at_once == ERR_NONE));
    if (err == ERR_NONE) {
        require(slowly.status == at_once.status && str_eq(buf_str(&slowly.body), buf_str(&at_once.body)));
        require(http_reply_error(&slowly, &error) != ERR_NONE && error.text[0] != '\0');
    }
    http_reply_fini(&slowly);
    http_reply_fini(&at_once);
    return 0;
}
