/* azure.h - requests to a backend in the dialect of Azure Web PubSub's event handlers: CloudEvents in binary mode with
 * header names, types and bodies of its own. So servers that use its published middleware work behind this server
 * unchanged. Pure, for any thread. */
#ifndef CARILLON_UPSTREAM_AZURE_H
#define CARILLON_UPSTREAM_AZURE_H

#include "server/core/session_origin.h"
#include "server/upstream/cloudevents.h"

struct webhook_secrets;

/* The value of WebHook-Request-Origin: a middleware that lists allowed endpoints must list this name. */
#define AZURE_ORIGIN "carillon"

/* Appends ce-specversion, ce-awpsversion, ce-hub, ce-source, ce-connectionid, ce-userid, ce-subprotocol. */
void azure_write_session(struct buf *out, struct str hub, const struct cloudevent_session *session);

/* Appends WebHook-Request-Origin, ce-type, ce-eventname, ce-id, ce-time, ce-connectionstate, and, with secrets,
 * ce-signature: "sha256=" and HMAC-SHA256 of the connection id by each of them. */
void azure_write(struct buf *out, const struct cloudevent *event, struct webhook_secrets *secrets);

/* Appends the body of the connect call: claims, query and headers, each value in an array, and the subprotocols. */
void azure_write_connect(struct buf *out, struct json_value claims, const struct session_origin *origin);
/* Appends the body of the disconnected event. */
void azure_write_disconnected(struct buf *out, struct str reason);

/* The answer to OPTIONS has this WebHook-Allowed-Origin: may requests be sent? */
bool azure_is_allowed(struct str allowed_origin);

#endif
