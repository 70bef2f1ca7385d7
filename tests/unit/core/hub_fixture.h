/* hub_fixture.h - a hub driven by hand. A fake transport keeps written frames, a fake broker keeps requests, and clocks
 * are numbers. */
#ifndef CARILLON_TESTS_HUB_FIXTURE_H
#define CARILLON_TESTS_HUB_FIXTURE_H

#include "common/base/buf.h"
#include "common/base/mailbox.h"
#include "server/core/hub.h"
#include "server/core/session_ticket.h"
#include "tests/support/unit.h"

/* One fake connection. */
struct wire {
    struct session *session;
    struct buf bytes; /* all frames written */
    size_t read;      /* how far the test has read them */
    unsigned writes;
    bool full; /* the kernel takes nothing more: what is written is "unsent" */
    uint32_t unsent;
    bool broken;       /* writing fails */
    unsigned finished; /* how often finish was called */
    bool abrupt;
};

struct fixture {
    const struct first_channel *channels; /* that sessions have from the beginning */
    size_t channel_count;
    struct hub *hub;
    struct hub_settings settings;
    struct rules *rules;
    struct metrics metrics;
    struct endpoint *endpoint;
    struct endpoint *other_endpoint;       /* of sessions that are opened; NULL: endpoint */
    const struct transport_ops *transport; /* the same; NULL: wire_transport */
    uv_loop_t loop;
    struct turn turn;
    struct mailbox replies;
    uint64_t now_us;
    uint64_t wall_ms;
    /* The requests of the hub. */
    struct buf asked; /* "join NAME\n", "leave NAME\n" */
    struct channel_join last_join;
    struct publication *published;  /* the last one, owned by the test */
    struct list_link recoveries;    /* oldest first */
    struct history_read *read;      /* the last one, owned by the test */
    const struct node_ops *forward; /* gets joins, leaves and recoveries in place of the above; NULL: nobody */
    void *forward_owner;
    struct session_slot *next_slot;     /* that the next session begins with */
    char next_uuid[UUID_LEN + 1];       /* that it has; "": a new one */
    struct session_slot_request *slot;  /* the last one to be taken, owned by the test */
    struct session_ticket *next_ticket; /* as next_slot */
    struct ticket_request *ticket;      /* the last one that was asked, owned by the test */
    struct presence_read *presence;     /* the same, of the command presence */
    struct claims *next_claims;         /* what verify gives; NULL: refuse */
    const char *next_changes; /* what a backend has put over the claims of the next session, as JSON; NULL: nothing */
};

void fixture_setup(struct fixture *f);
/* The same, as the hub of this number on the node with this id. */
void fixture_setup_as(struct fixture *f, uint32_t worker, struct str node_id);
void fixture_teardown(struct fixture *f);

/* A copy of f->endpoint, to be changed. */
struct endpoint *fixture_copy_endpoint(const struct fixture *f);
/* Takes the endpoint: it is in the place of f->endpoint, after a reload. */
void fixture_use_endpoint(struct fixture *f, struct endpoint *endpoint);

/* A wire with WebSocket frames, and a one-way one with a line for each message, ":" for a ping and "bye" for a close.
 */
extern const struct transport_ops wire_transport, line_transport;
/* A two-way one with lines, whose framing has messages and nothing else. */
extern const struct transport_ops plain_transport;

/* Opens a session for a payload such as {"sub":"alice"}; reads over its session_init. */
struct session *open_session(struct fixture *f, struct wire *wire, const char *payload);
void close_session(struct fixture *f, struct wire *wire);

void send_text(struct fixture *f, struct wire *wire, const char *text);
/* Time goes on, timers fire, and the turn ends. */
void pass(struct fixture *f, uint64_t ms);
/* The next frame's payload; "" if there is none. *out_opcode gets the opcode, and may be NULL. Valid until the next
 * call. */
const char *next_frame(struct wire *wire, int *out_opcode);
/* The same of a wire with lines. */
const char *next_line(struct wire *wire);
/* Reads the close frame that must be next. */
int next_close(struct wire *wire, char reason[128]);

/* Joins the channel that was asked for last and flushes. */
void answer_join(struct fixture *f, const char *channel, const char *epoch, uint64_t offset);
/* Takes the oldest recovery that was asked for. There must be one. */
struct recovery *take_recovery(struct fixture *f);
/* Answers it, of a channel "log:a" at position, with the events (after, last]; epoch "e". */
void answer_recovery(struct fixture *f, struct recovery *recovery, enum recovery_outcome outcome, uint64_t after,
                     uint64_t last, uint64_t position);
/* Delivers the event of this offset and epoch "e" to channel "log:a". */
void deliver_numbered(struct fixture *f, uint64_t offset);
/* Delivers an event of type "note" with this data. Flushes if told so. */
void deliver(struct fixture *f, const char *channel, const char *data, bool flush);

#endif
