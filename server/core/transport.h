/* transport.h - what carries a session. The hub never asks which transport it is. */
#ifndef CARILLON_CORE_TRANSPORT_H
#define CARILLON_CORE_TRANSPORT_H

#include <stdbool.h>

#include "common/protocol/framing.h"

struct hub;
struct session;

enum write_result {
    WRITE_ALL,     /* the kernel has taken everything */
    WRITE_PARTIAL, /* taken by the transport; the kernel is full: hub_writable follows */
    WRITE_FAILED,  /* the connection is gone: nothing more is written to it, and the hub finishes it abruptly */
};

/* One table for each kind of connection. session->transport is the connection. Of the functions only those that take
 * input may call back into the hub.
 *
 * A table can stand in front of another one, for the same session->transport. It then passes on, changes or holds back
 * what goes out and what comes in. */
struct transport_ops {
    /* Writes whole frames. *out_unsent: how many bytes the transport holds that the kernel has not taken. */
    enum write_result (*write)(struct session *session, struct str frames, uint32_t *out_unsent);
    /* Everything queued, the close frame last, has been written, and the kernel has taken it: end the connection now or
     * once the peer has answered. abrupt: do not wait for anything. It is called once, or a second time with abrupt
     * where the first call was without. hub_gone must follow, not from within this call. */
    void (*finish)(struct session *session, bool abrupt);
    /* Stops reading what the client sends, or goes on with it. What has been read already is kept, and comes to the hub
     * before anything else does. NULL: the client's messages do not come by this transport. */
    void (*hold)(struct session *session, bool hold);
    /* What has come from the client: the hub's own functions, hub_receive and those after it. NULL in a transport that
     * is one_way, which never calls them. */
    void (*receive)(struct hub *hub, struct session *session, struct str text);
    void (*receive_binary)(struct hub *hub, struct session *session, struct str bytes);
    void (*ping)(struct hub *hub, struct session *session, struct str payload);
    void (*pong)(struct hub *hub, struct session *session);
    /* The client's close frame, before the server's own. code 0: it has none. */
    void (*closed)(struct hub *hub, struct session *session, int code, struct str reason);
    /* The kernel has taken all that the transport held after WRITE_PARTIAL: hub_writable, or who passes it on. */
    void (*writable)(struct hub *hub, struct session *session, uint32_t unsent);
    const struct framing *framing;
    bool one_way; /* the client cannot answer a ping here: its commands come another way */
};

#endif
