/* origin.h - makes the session origin of a request (server/core/session_origin.h). Pure. */
#ifndef CARILLON_NET_ADMISSION_ORIGIN_H
#define CARILLON_NET_ADMISSION_ORIGIN_H

#include "common/protocol/http_head.h"
#include "server/core/session_origin.h"
#include "server/net/admission/settings.h"

/* *out: one reference; NULL when nothing at this endpoint needs it. ERR_INVALID_REQUEST when one of the parameters in
 * endpoint->query is there twice or has a malformed escape. */
enum err origin_make(const struct net_endpoint *endpoint, const struct http_head *head, const struct address *client,
                     struct session_origin **out, struct error *error);

#endif
