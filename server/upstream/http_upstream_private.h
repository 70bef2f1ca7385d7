/* http_upstream_private.h - an HTTP upstream, for the files of this folder. */
#ifndef CARILLON_UPSTREAM_HTTP_UPSTREAM_PRIVATE_H
#define CARILLON_UPSTREAM_HTTP_UPSTREAM_PRIVATE_H

#include "common/base/list.h"
#include "server/upstream/http_upstream.h"

/* The order of http_upstream_fields. */
enum {
    FIELD_CONNECTION_STATE,
    FIELD_SUBSCRIBE,
    FIELD_UNSUBSCRIBE,
    FIELD_CLOSE,
    FIELD_RETRY_AFTER,
    FIELD_ALLOWED_ORIGIN,
    FIELD_CONTENT_ENCODING,
    FIELD_COUNT,
};

struct http_upstream {
    struct upstream base;
    struct http_upstream_options options; /* its texts lie in bytes */
    atomic_bool is_allowed;               /* the backend has allowed requests (azure.h) */
    struct str *claims;                   /* owned; of the options */
    char bytes[];
};

/* Is it one? There are other kinds. */
bool http_upstream_is(const struct upstream *upstream);
static inline struct http_upstream *http_upstream_of(struct upstream *upstream)
{
    return CONTAINER_OF(upstream, struct http_upstream, base);
}

#endif
