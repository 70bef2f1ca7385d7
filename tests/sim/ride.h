/* ride.h - connections that come with a ticket, or with a token for one connection. The node asks the broker first, as
 * the entry steps of server/net/admission do. The client answers pings and close frames, and says nothing else.
 * tickets.c decides who should have come in, and what they should hear. */
#ifndef CARILLON_TESTS_SIM_RIDE_H
#define CARILLON_TESTS_SIM_RIDE_H

#include "common/protocol/ws_client.h"
#include "server/core/session_ticket.h"
#include "server/core/single_use.h"
#include "tests/sim/sim_node.h"

enum { RIDE_CHANNELS = 2 };
extern const size_t ride_channels[RIDE_CHANNELS]; /* of sim_channels: the first channels of each session */

struct pass;

/* A place on a channel. */
struct berth {
    char epoch[EPOCH_MAX + 1]; /* "": none was told */
    uint64_t offset;
};

/* It lives until the end of the run, because its two sides learn of its end at different times. */
struct ride {
    struct list_link link;
    struct pass *pass;
    struct sim_worker *worker;
    bool is_wrong;                 /* it asks for what its ticket is not for */
    struct session_ticket *ticket; /* until its session has it, or it has none */
    struct single_use *use;        /* asked for, and not answered */
    struct session *session;       /* the hub's end; NULL: not yet, or no more */
    bool gone;                     /* nothing of it is left at the node */
    bool open;                     /* the client's end */
    bool closed;                   /* the client has sent its close frame */
    bool in[RIDE_CHANNELS];        /* it was told that it has the channel */
    struct berth berths[RIDE_CHANNELS];
    uint64_t in_since_us;
    int code; /* of the server's close frame; 0: none */
    uint64_t down_due_us;
    uint64_t up_due_us;
    struct ws_decoder decoder;
};

void rides_begin(void);
void rides_end(void);

/* is_wrong: for another resource than the ticket's. */
struct ride *ride_begin(struct pass *pass, struct sim_node *node, bool is_wrong);
/* The client closes it in order, with 1000. */
void ride_close(struct ride *ride);
/* Its client is gone; what is on its way to it is lost. silently: the node finds out by itself. */
void ride_vanish(struct ride *ride, bool silently);
/* The first one of the pass that the predicate holds for; NULL: none. */
struct ride *ride_find(const struct pass *pass, bool (*holds)(const struct ride *ride));
/* The worker ends. In its thread. */
void ride_lose_all(struct sim_worker *worker);

/* --- tickets.c: what is asked and told --- */
/* The texts that the client shows; claims: NULL for a ticket. */
struct str pass_ticket(const struct pass *pass);
struct str pass_resource(const struct pass *pass);
struct claims *pass_claims(const struct pass *pass);
/* The broker's answer has come. granted: it may come in. Returns whether it gets a session. */
bool pass_answered(struct ride *ride, enum err err, bool granted, enum ticket_outcome outcome);
/* It has a session. */
void pass_begun(struct ride *ride);
/* Nothing is left of it at the node. code: that of the session; 0: it had none. */
void pass_gone(struct ride *ride, int code);
/* The client has heard a message. */
void pass_hears(struct ride *ride, struct str text);
/* The client's end has ended, and not by ride_close or ride_vanish. */
void pass_ends(struct ride *ride);

#endif
