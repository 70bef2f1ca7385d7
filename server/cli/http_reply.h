/* http_reply.h - a server's answer to a request of a client subcommand. Pure functions. */
#ifndef CARILLON_CLI_HTTP_REPLY_H
#define CARILLON_CLI_HTTP_REPLY_H

#include "common/base/buf.h"
#include "common/base/error.h"

/* http_reply_fini frees it. */
struct http_reply {
    int status;
    uint64_t retry_after_s; /* the pause that the server asked for, or 0 */
    struct buf body;
};

void http_reply_fini(struct http_reply *reply);

/* Writes what an answer that is not a success says into *error: the error object of its JSON body, or only the status.
 * Returns ERR_UNAVAILABLE if trying again later makes sense (408, 425, 429, 5xx), ERR_INVALID_REQUEST otherwise. */
enum err http_reply_error(const struct http_reply *reply, struct error *error);

#endif
