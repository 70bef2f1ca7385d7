/* ticket_connection.h - connections that come with a ticket, or with a token for one connection. The node asks the
 * broker first, as the entry steps of server/net/entry do. The client answers pings and close frames, and says
 * nothing else. tickets.c decides who should have come in, and what they should hear. */
#ifndef CARILLON_TESTS_SIM_TICKET_CONNECTION_H
#define CARILLON_TESTS_SIM_TICKET_CONNECTION_H

#include "common/protocol/ws_client.h"
#include "server/core/session_ticket.h"
#include "server/core/single_use.h"
#include "tests/sim/sim_node.h"

enum { TICKET_CHANNELS = 2 };
extern const size_t ticket_channels[TICKET_CHANNELS]; /* of sim_channels: the first channels of each session */

struct ticket_client;

/* How far the client is on a channel. */
struct known_position {
    char epoch[EPOCH_MAX + 1]; /* "": none was told */
    uint64_t offset;
};

/* It lives until the end of the run, because its two sides learn of its end at different times. */
struct ticket_connection {
    struct list_link link;
    struct ticket_client *client;
    struct sim_worker *worker;
    bool is_wrong;                 /* it asks for what its ticket is not for */
    struct session_ticket *ticket; /* until its session has it, or it has none */
    struct single_use *use;        /* asked for, and not answered */
    struct session *session;       /* the hub's end; NULL: not yet, or no more */
    bool gone;                     /* nothing of it is left at the node */
    bool open;                     /* the client's end */
    bool closed;                   /* the client has sent its close frame */
    bool in[TICKET_CHANNELS];      /* it was told that it has the channel */
    struct known_position positions[TICKET_CHANNELS];
    uint64_t in_since_us;
    int code; /* of the server's close frame; 0: none */
    uint64_t down_due_us;
    uint64_t up_due_us;
    struct ws_decoder decoder;
};

void ticket_connections_begin(void);
void ticket_connections_end(void);

/* is_wrong: for another resource than the ticket's. */
struct ticket_connection *ticket_connection_begin(struct ticket_client *client, struct sim_node *node, bool is_wrong);
/* The client closes it in order, with 1000. */
void ticket_connection_close(struct ticket_connection *connection);
/* Its client is gone; what is on its way to it is lost. silently: the node finds out by itself. */
void ticket_connection_vanish(struct ticket_connection *connection, bool silently);
/* The first one of the client that the predicate holds for; NULL: none. */
struct ticket_connection *ticket_connection_find(const struct ticket_client *client,
                                                 bool (*holds)(const struct ticket_connection *connection));
/* The worker ends. In its thread. */
void ticket_connection_lose_all(struct sim_worker *worker);

/* --- tickets.c: what is asked and told --- */
/* The texts that the client shows; claims: NULL for a ticket. */
struct str ticket_client_ticket(const struct ticket_client *client);
struct str ticket_client_resource(const struct ticket_client *client);
struct claims *ticket_client_claims(const struct ticket_client *client);
/* The broker's answer has come. granted: it may come in. Returns whether it gets a session. */
bool ticket_client_answered(struct ticket_connection *connection, enum err err, bool granted,
                            enum ticket_outcome outcome);
/* It has a session. */
void ticket_client_begun(struct ticket_connection *connection);
/* Nothing is left of it at the node. code: that of the session; 0: it had none. */
void ticket_client_gone(struct ticket_connection *connection, int code);
/* The client has heard a message. */
void ticket_client_hears(struct ticket_connection *connection, struct str text);
/* The client's end has ended, and not by ticket_connection_close or ticket_connection_vanish. */
void ticket_client_ends(struct ticket_connection *connection);

#endif
