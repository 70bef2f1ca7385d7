/* http_client.c - see http_client.h. */
#include "server/cli/http_client.h"

#include "common/json/json.h"

enum { HEAD_MAX = 16 * 1024, BODY_MAX = 16 * 1024 * 1024 };

void http_reply_fini(struct http_reply *reply)
{
    buf_fini(&reply->body);
}

enum err http_reply_error(const struct http_reply *reply, struct error *error)
{
    struct json_value body;
    struct buf code_text = {0}, message_text = {0};
    struct str code, message;
    bool passes = reply->status >= 500 || reply->status == 408 || reply->status == 425 || reply->status == 429;
    enum err err = passes ? ERR_UNAVAILABLE : ERR_INVALID_REQUEST;
    if (json_check(buf_str(&reply->body), NULL, &body, NULL) == ERR_NONE && body.type == JSON_OBJECT) {
        body = json_member(body, STR("error"));
        if (body.type == JSON_OBJECT && json_text(json_member(body, STR("code")), &code_text, &code) &&
            json_text(json_member(body, STR("message")), &message_text, &message)) {
            error_set(error, err, "%.*s (%.*s, HTTP status %d)", STR_ARG(message), STR_ARG(code), reply->status);
            goto done;
        }
    }
    error_set(error, err, "the server answered with HTTP status %d", reply->status);
done:
    buf_fini(&code_text);
    buf_fini(&message_text);
    return err;
}

enum err http_client_read_head(struct wire *wire, struct buf *received, uint64_t deadline_us, struct http_answer *out,
                               struct error *error)
{
    size_t scanned = 0;
    for (;;) {
        switch (http_answer_parse(buf_str(received), HEAD_MAX, &scanned, out, error)) {
        case HTTP_HEAD_DONE:
            if (!http_answer_is_interim(out))
                return ERR_NONE;
            buf_consume(received, out->length);
            scanned = 0;
            continue;
        case HTTP_HEAD_BAD: return error->code;
        case HTTP_HEAD_NEED_MORE: break;
        }
        if (wire_read(wire, received, deadline_us, error) != WIRE_OK)
            return error->code;
    }
}

enum err http_client_read_body(struct wire *wire, struct buf *received, const struct http_answer *head,
                               uint64_t deadline_us, struct http_reply *out, struct error *error)
{
    struct str value;
    uint64_t length = 0;
    struct http_reply reply = {.status = head->status};
    size_t head_length = head->length;
    if (http_fields_find(&head->fields, STR("transfer-encoding"), &value))
        return error_set(error, ERR_INVALID_REQUEST, "the answer's body is in pieces (Transfer-Encoding)");
    /* A date is the other form of Retry-After (RFC 9110, 10.2.3): too rare to be read. */
    reply.has_retry_after =
        http_fields_find(&head->fields, STR("retry-after"), &value) && str_to_u64(value, &reply.retry_after_s);
    bool has_length = http_fields_find(&head->fields, STR("content-length"), &value);
    if (has_length && !str_to_u64(value, &length))
        return error_set(error, ERR_INVALID_REQUEST, "the answer's Content-Length is not a number");
    /* From here on the head's slices are not used: received moves as it grows. */
    buf_consume(received, head_length);
    while (!has_length || received->len < length) {
        if (length > BODY_MAX || received->len > BODY_MAX)
            return error_set(error, ERR_TOO_LARGE, "the answer is over %d bytes", BODY_MAX);
        enum wire_result result = wire_read(wire, received, deadline_us, error);
        if (result == WIRE_CLOSED && !has_length)
            break;
        if (result != WIRE_OK)
            return error->code;
    }
    buf_append(&reply.body, str_from(buf_str(received).ptr, has_length ? (size_t)length : received->len));
    *out = reply;
    return ERR_NONE;
}

static void write_request(struct buf *out, const struct url *base, const char *path, const struct http_field *fields,
                          size_t field_count, const struct str *body)
{
    struct str prefix = base->path;
    if (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/')
        prefix.len--;
    buf_appendf(out, "%s %.*s%s HTTP/1.0\r\nHost: %.*s\r\nConnection: close\r\nUser-Agent: carillon\r\n",
                body ? "POST" : "GET", STR_ARG(prefix), path, STR_ARG(base->authority));
    for (size_t i = 0; i < field_count; i++)
        buf_appendf(out, "%.*s: %.*s\r\n", STR_ARG(fields[i].name), STR_ARG(fields[i].value));
    if (body)
        buf_appendf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body->len);
    buf_append_lit(out, "\r\n");
    if (body)
        buf_append(out, *body);
}

enum err http_client_call(const struct url *base, const char *path, const struct http_field *fields, size_t field_count,
                          const struct str *body, uint64_t deadline_us, struct http_reply *out, struct error *error)
{
    struct buf request = {0}, received = {0};
    struct http_answer head;
    struct error cause = {0};
    struct wire *wire = wire_open(base, deadline_us, error);
    if (!wire)
        return error->code;
    write_request(&request, base, path, fields, field_count, body);
    enum err err = ERR_NONE;
    /* A server that has refused may close while we still write: its answer, if there is one, says more. */
    enum wire_result written = wire_write(wire, buf_str(&request), deadline_us, &cause);
    if (written == WIRE_TIMEOUT)
        err = cause.code;
    if (!err)
        err = http_client_read_head(wire, &received, deadline_us, &head, &cause);
    if (!err)
        err = http_client_read_body(wire, &received, &head, deadline_us, out, &cause);
    if (err)
        error_set(error, err, "no good answer from %.*s: %s", STR_ARG(base->authority), cause.text);
    wire_close(wire);
    buf_fini(&request);
    buf_fini(&received);
    return err;
}
