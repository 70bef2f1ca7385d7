/* ws_dial.c - see ws_dial.h. */
#include "server/cli/ws_dial.h"

enum { HEAD_MAX = 16 * 1024, REFUSAL_MAX = 64 * 1024 };

/* Reads until the head is whole. *out borrows from *received, and the bytes after the head stay there. */
static enum err read_head(struct wire *wire, struct buf *received, uint64_t deadline_us, struct http_answer *out,
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

/* The body is wanted for the server's words. Where they do not come whole, the status must do. */
static void read_refusal(struct wire *wire, struct buf *received, const struct http_answer *head, uint64_t deadline_us,
                         struct http_reply *out)
{
    struct str value;
    uint64_t length = REFUSAL_MAX;
    *out = (struct http_reply){.status = head->status};
    /* A date is the other form of Retry-After (RFC 9110, 10.2.3): too rare to be read. */
    if (http_fields_find(&head->fields, STR("retry-after"), &value))
        str_to_u64(value, &out->retry_after_s);
    if (http_fields_find(&head->fields, STR("transfer-encoding"), &value))
        return;
    if (http_fields_find(&head->fields, STR("content-length"), &value) && !str_to_u64(value, &length))
        return;
    if (length > REFUSAL_MAX)
        length = REFUSAL_MAX;
    /* From here on the head's slices are not used: received moves as it grows. */
    buf_consume(received, head->length);
    while (received->len < length && wire_read(wire, received, deadline_us, NULL) == WIRE_OK)
        ;
    buf_append(&out->body, str_from(buf_str(received).ptr, received->len < length ? received->len : (size_t)length));
}

enum ws_dial_result ws_dial(struct wire *wire, const struct ws_request *request, uint64_t deadline_us,
                            struct buf *received, struct http_reply *out_refusal, struct error *error)
{
    struct buf out = {0};
    struct http_answer answer;
    char key[WS_KEY_LEN + 1];
    ws_client_key(key);
    ws_client_request(&out, request, key);
    /* A server that has refused may close while we still write: its answer, if there is one, says more. */
    enum wire_result written = wire_write(wire, buf_str(&out), deadline_us, error);
    buf_fini(&out);
    if (written == WIRE_TIMEOUT || read_head(wire, received, deadline_us, &answer, error) != ERR_NONE)
        return WS_DIAL_FAILED;
    if (answer.status != 101) {
        read_refusal(wire, received, &answer, deadline_us, out_refusal);
        return WS_DIAL_REFUSED;
    }
    if (ws_client_check(&answer, key, error) != ERR_NONE)
        return WS_DIAL_MISTAKEN;
    buf_consume(received, answer.length);
    return WS_DIAL_OPEN;
}
