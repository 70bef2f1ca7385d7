/* ws_upstream_private.h - a WebSocket upstream, for the files of this folder. */
#ifndef CARILLON_UPSTREAM_WS_UPSTREAM_PRIVATE_H
#define CARILLON_UPSTREAM_WS_UPSTREAM_PRIVATE_H

#include "server/upstream/ws_upstream.h"

struct ws_upstream {
    struct upstream base;
    struct ws_upstream_options options; /* its texts lie in bytes */
    unsigned label;                     /* of its metrics */
    struct str *claims;                 /* owned; of the options */
    char bytes[];
};

#endif
