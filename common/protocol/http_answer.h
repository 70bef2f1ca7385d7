/* http_answer.h - the head of an HTTP/1.x response, for our own clients. As strict as http_head.h. Borrows from the
 * bytes. Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_HTTP_ANSWER_H
#define CARILLON_PROTOCOL_HTTP_ANSWER_H

#include "common/protocol/http_field.h"

struct http_answer {
    size_t length;     /* bytes of the head with its final CRLF CRLF */
    unsigned minor;    /* 0 or 1 of HTTP/1.x */
    int status;        /* 100 to 599 */
    struct str reason; /* may be empty */
    struct http_fields fields;
};

/* As http_head_parse: *scanned is 0 at first and kept between calls. */
enum http_head_result http_answer_parse(struct str bytes, size_t max_len, size_t *scanned, struct http_answer *out,
                                        struct error *error);

/* Another answer to the same request follows (RFC 9110, 15.2). After 101 comes another protocol. */
static inline bool http_answer_is_interim(const struct http_answer *answer)
{
    return answer->status < 200 && answer->status != 101;
}

#endif
