/* http_answer.c - see http_answer.h. */
#include "common/protocol/http_answer.h"

static bool parse_status_line(struct str line, struct http_answer *out)
{
    const char *p = line.ptr;
    if (line.len < 12 || memcmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1') || p[8] != ' ')
        return false;
    uint64_t status;
    if (!str_to_u64(str_from(p + 9, 3), &status) || status < 100 || status > 599)
        return false;
    /* RFC 9112, 4: the space after the status stays when there is no reason; some servers leave it out. */
    if (line.len > 12 && p[12] != ' ')
        return false;
    out->minor = (unsigned)(p[7] - '0');
    out->status = (int)status;
    out->reason = line.len > 13 ? str_from(p + 13, line.len - 13) : STR("");
    return true;
}

enum http_head_result http_answer_parse(struct str bytes, size_t max_len, size_t *scanned, struct http_answer *out,
                                        struct error *error)
{
    struct str within = str_from(bytes.ptr, bytes.len < max_len ? bytes.len : max_len);
    size_t length = 0;
    enum http_head_result end = http_head_end(within, scanned, &length, error);
    if (end == HTTP_HEAD_NEED_MORE && bytes.len >= max_len) {
        error_set(error, ERR_TOO_LARGE, "the head of the answer is over %zu bytes", max_len);
        return HTTP_HEAD_BAD;
    }
    if (end != HTTP_HEAD_DONE)
        return end;
    out->length = length;
    struct str rest = str_from(bytes.ptr, length - 2);
    if (!parse_status_line(str_split(&rest, '\r'), out)) {
        error_set(error, ERR_INVALID_REQUEST, "the answer does not begin with an HTTP/1.1 status line");
        return HTTP_HEAD_BAD;
    }
    if (http_fields_parse(str_skip(rest, 1), &out->fields, error) != HTTP_FIELDS_OK)
        return HTTP_HEAD_BAD;
    return HTTP_HEAD_DONE;
}
