/* ws_request.h - a request that libwebsockets has read by TLS: written down again for our own strict parser
 * (http_head.h), and so judged exactly like one that came by the gate. */
#ifndef CARILLON_NET_WS_REQUEST_H
#define CARILLON_NET_WS_REQUEST_H

#include "server/net/admit.h"

struct lws;

/* To websocket, by GET. An upgrade to anything else is not for lws (h2c). */
bool ws_request_is_upgrade(struct lws *wsi);

/* As admit; sets applicant->head for as long as it takes. While lws handles the request. *out_head_only: it is a HEAD
 * request. False, and nothing else: there is no telling what it is, and it gets no answer. */
bool ws_request_admit(struct lws *wsi, struct applicant *applicant, struct admission *out, struct address *out_client,
                      bool *out_head_only);

#endif
