/* http_client.c - see http_client.h. */
#include "server/cli/http_client.h"

#include <stdlib.h>

#include "server/cli/curl_handle.h"

enum { BODY_MAX = 16 * 1024 * 1024 };

struct exchange {
    struct curl_handle handle;
    struct curl_slist *fields;
    bool has_head; /* to its last line: libcurl takes half a head for a whole one */
    struct buf body;
};

/* Each line of a head, with its line end. */
static size_t on_head_line(char *bytes, size_t size, size_t count, void *owner)
{
    struct exchange *exchange = owner;
    struct str line = str_from(bytes, size * count);
    if (str_starts_with(line, STR("HTTP/")))
        exchange->has_head = false; /* another head may have come before (RFC 9110, 15.2) */
    else if (line.len > 0 && (line.ptr[0] == '\r' || line.ptr[0] == '\n'))
        exchange->has_head = true;
    return line.len;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *owner)
{
    struct exchange *exchange = owner;
    struct str part = str_from(bytes, size * count);
    if (exchange->body.len + part.len > BODY_MAX)
        return 0; /* then libcurl ends with CURLE_WRITE_ERROR */
    buf_append(&exchange->body, part);
    return part.len;
}

static void add_field(struct exchange *exchange, const char *name, const char *value)
{
    struct buf line = {0};
    buf_appendf(&line, "%s: %s", name, value);
    exchange->fields = curl_slist_append(exchange->fields, buf_cstr(&line));
    if (!exchange->fields)
        abort(); /* no memory */
    buf_fini(&line);
}

static void prepare(struct exchange *exchange, const char *authorization, const struct str *body, uint64_t deadline_us)
{
    CURL *easy = exchange->handle.easy;
    uint64_t ms = curl_handle_left_ms(deadline_us);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, ms > 1 ? (long)ms : 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "carillon");
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)BODY_MAX);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head_line);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    if (authorization)
        add_field(exchange, "Authorization", authorization);
    if (body) {
        add_field(exchange, "Content-Type", "application/json");
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body->ptr);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->fields);
}

static enum err answer_error(const struct exchange *exchange, CURLcode code, const struct url *base,
                             struct error *error)
{
    struct error cause;
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT: error_set(&cause, ERR_UNAVAILABLE, "no answer in time"); break;
    case CURLE_OK: /* in the middle of the head */
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE: error_set(&cause, ERR_UNAVAILABLE, "the server closed the connection"); break;
    case CURLE_WRITE_ERROR:
    case CURLE_FILESIZE_EXCEEDED: error_set(&cause, ERR_TOO_LARGE, "the answer is over %d bytes", BODY_MAX); break;
    case CURLE_UNSUPPORTED_PROTOCOL:
        error_set(&cause, ERR_INVALID_REQUEST, "the answer does not begin with an HTTP/1.1 status line");
        break;
    default: error_set(&cause, ERR_UNAVAILABLE, "%s", curl_handle_why(&exchange->handle, code)); break;
    }
    return error_set(error, cause.code, "no good answer from %.*s: %s", STR_ARG(base->authority), cause.text);
}

static void take_answer(struct exchange *exchange, struct http_reply *out)
{
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(exchange->handle.easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(exchange->handle.easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    *out = (struct http_reply){.status = (int)status, .retry_after_s = (uint64_t)retry_after_s, .body = exchange->body};
    exchange->body = (struct buf){0};
}

enum err http_client_call(const struct url *base, const char *path, const char *authorization, const struct str *body,
                          uint64_t deadline_us, struct http_reply *out, struct error *error)
{
    struct exchange exchange = {0};
    struct buf whole_path = {0};
    long sent = 0; /* bytes */
    enum err err = ERR_NONE;
    struct str prefix = base->path;
    if (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/')
        prefix.len--;
    buf_append(&whole_path, prefix);
    buf_append(&whole_path, str_from_cstr(path));
    curl_handle_init(&exchange.handle, base, buf_str(&whole_path), deadline_us);
    prepare(&exchange, authorization, body, deadline_us);
    CURLcode code = curl_easy_perform(exchange.handle.easy);
    curl_easy_getinfo(exchange.handle.easy, CURLINFO_REQUEST_SIZE, &sent);
    if (sent == 0)
        err = curl_handle_connect_error(&exchange.handle, code, base, error);
    else if (code != CURLE_OK || !exchange.has_head)
        err = answer_error(&exchange, code, base, error);
    else
        take_answer(&exchange, out);
    curl_handle_fini(&exchange.handle);
    curl_slist_free_all(exchange.fields);
    buf_fini(&exchange.body);
    buf_fini(&whole_path);
    return err;
}
