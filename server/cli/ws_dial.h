/* ws_dial.h - the opening handshake of a client (RFC 6455, 4.1) over a connection to the server. Blocking, with a
 * deadline. One thread at a time. */
#ifndef CARILLON_CLI_WS_DIAL_H
#define CARILLON_CLI_WS_DIAL_H

#include "common/protocol/ws_client.h"
#include "server/cli/http_reply.h"
#include "server/cli/wire.h"

enum ws_dial_result {
    WS_DIAL_OPEN,     /* frames follow; *received may hold the first of them */
    WS_DIAL_FAILED,   /* no good answer came: *error says why */
    WS_DIAL_REFUSED,  /* *out_refusal has the server's answer, for http_reply_fini */
    WS_DIAL_MISTAKEN, /* the server says yes, but not to this handshake: *error says why */
};

/* *received is empty at first. Of a refusal's body only the first 64 KiB are kept, or less if it does not come. */
enum ws_dial_result ws_dial(struct wire *wire, const struct ws_request *request, uint64_t deadline_us,
                            struct buf *received, struct http_reply *out_refusal, struct error *error);

#endif
