/* http_client.h - one HTTP request over a connection of its own. Blocking, with a deadline. Requests are HTTP/1.0 with
 * a Host header, so that the body of an answer is never chunked and ends with the connection. One thread at a time. */
#ifndef CARILLON_CLI_HTTP_CLIENT_H
#define CARILLON_CLI_HTTP_CLIENT_H

#include "common/protocol/http_answer.h"
#include "server/cli/wire.h"

/* An answer. http_reply_fini frees it. */
struct http_reply {
    int status;
    bool has_retry_after;
    uint64_t retry_after_s;
    struct buf body;
};

void http_reply_fini(struct http_reply *reply);

/* Writes what an answer that is not a success says into *error: the error object of its JSON body, or only the status.
 * Returns ERR_UNAVAILABLE if trying again later makes sense (408, 425, 429, 5xx), ERR_INVALID_REQUEST otherwise. */
enum err http_reply_error(const struct http_reply *reply, struct error *error);

/* Sends a GET, or with a body (JSON) a POST, for the URL's path with `path` behind it. An answer with any status is a
 * success here. */
enum err http_client_call(const struct url *base, const char *path, const struct http_field *fields, size_t field_count,
                          const struct str *body, uint64_t deadline_us, struct http_reply *out, struct error *error);

/* Reading an answer has two halves. This one reads until the head is whole. The bytes after the head stay in *received,
 * behind out->length. *out borrows from *received. */
enum err http_client_read_head(struct wire *wire, struct buf *received, uint64_t deadline_us, struct http_answer *out,
                               struct error *error);
/* Reads the body that belongs to the head. It uses up the bytes in *received. */
enum err http_client_read_body(struct wire *wire, struct buf *received, const struct http_answer *head,
                               uint64_t deadline_us, struct http_reply *out, struct error *error);

#endif
