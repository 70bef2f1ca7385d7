/* answer.h - the head of an HTTP/1.1 response, and whole responses in the error format of the API. Pure. */
#ifndef CARILLON_NET_HTTP_ANSWER_H
#define CARILLON_NET_HTTP_ANSWER_H

#include "common/base/buf.h"
#include "common/protocol/reason.h"

struct answer {
    int status;
    const char *content_type; /* NULL: application/json */
    const char *allow;        /* of a 405; NULL: none */
    uint64_t retry_after_s;   /* 0: none */
    struct str more;          /* more header lines, each with its CRLF */
    uint64_t wall_ms;         /* for Date */
    bool open_ended;          /* the body has no length: it ends with the connection */
    bool close;               /* no further request is taken on this connection */
    bool keep_alive;          /* says that more requests are taken, which an HTTP/1.0 client must be told */
    const char *upgrade;      /* of a 426: header lines with Upgrade; NULL: none */
};

/* Appends the head for a body of that length. */
void answer_write_head(struct buf *out, const struct answer *answer, size_t body_len);

/* Appends a whole response with the body {"error":{"code":..,"message":..,"reason":..}}; reason is left out when
 * REASON_NONE. head_only: a HEAD request, whose answer has no body. */
void answer_write_error(struct buf *out, const struct answer *answer, enum err code, struct str message,
                        enum reason reason, bool head_only);

#endif
