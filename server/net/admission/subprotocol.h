/* subprotocol.h - the subprotocols that a client offers (RFC 6455, 1.9), at an endpoint that knows some of them. Pure.
 */
#ifndef CARILLON_NET_ADMISSION_SUBPROTOCOL_H
#define CARILLON_NET_ADMISSION_SUBPROTOCOL_H

#include "common/protocol/http_head.h"
#include "server/net/admission/settings.h"

/* Walks the subprotocols offered:
 * struct http_list at = {0}; while (subprotocol_next(head, &at, &item)) ... */
bool subprotocol_next(const struct http_head *head, struct http_list *at, struct str *out_item);

/* Is it one of the endpoint's? Case does not matter. */
bool subprotocol_is_known(const struct net_endpoint *endpoint, struct str item);

/* The subprotocol that the answer selects: the first one offered that the endpoint knows, as the client wrote it.
 * Empty: none. */
struct str subprotocol_select(const struct net_endpoint *endpoint, const struct http_head *head);

/* The same for a refusal: where none is known, the first name offered that does not look like a token. A browser that
 * has offered names and gets none shows code 1006 and no frame (RFC 6455, 4.1). */
struct str subprotocol_of_refusal(const struct net_endpoint *endpoint, const struct http_head *head);

#endif
