/* net_transport.h - a transport, as the gate needs it: which requests can become a session, how a client is refused in
 * the transport's own words, and how a connection becomes a session. (server/core/transport.h is the hub's side of the
 * same transport.) Each endpoint names its transport. One table for each kind, in a folder beside ws. */
#ifndef CARILLON_NET_ADMISSION_NET_TRANSPORT_H
#define CARILLON_NET_ADMISSION_NET_TRANSPORT_H

#include "server/core/hub.h"
#include "server/net/admission/admission.h"

struct stream;

/* What a connection begins with. */
struct net_start {
    struct hub *hub;              /* borrowed, as the next, for the connection's life */
    struct admitter *admitter;    /* of the hub's worker */
    struct lease lease;           /* taken */
    struct session_start session; /* whole but for transport. ops: NULL, or a table in front of the transport's own */
};

/* Borrowed. */
struct net_refusal {
    const struct endpoint *endpoint;
    enum reason reason;
    struct str text; /* tells the client what is wrong */
    int close_code;
};

/* Called in the worker's thread. */
struct net_transport {
    /* Can the request become a session? Returns 0, or else the HTTP status of the refusal, and *error says why. */
    int (*check)(const struct http_head *head, struct error *error);
    /* static; header lines of a refusal with status 426 (RFC 9110, 15.5.22). NULL: check never returns 426. */
    const char *upgrade;
    /* Appends the head that accepts the request. protocol: the subprotocol that the answer selects; empty for none. */
    void (*answer)(struct buf *out, const struct http_head *head, struct str protocol);
    /* Appends what follows that head for a client that is refused: the connection ends after it, and nothing of the
     * client is read. NULL: every refusal is by HTTP status. */
    void (*refuse)(struct buf *out, const struct net_refusal *refusal);
    /* Takes over the stream, sends the answer, and opens the session. rest: the bytes that the client has sent after
     * its request head. They may be changed in place. */
    void (*open)(struct stream *stream, const struct net_start *start, struct str answer, struct str rest);
};

#endif
