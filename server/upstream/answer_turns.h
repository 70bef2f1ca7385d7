/* answer_turns.h - whose answer goes on when one session has several, and its client reads slowly. Private to this
 * folder. One thread, the hub's.
 *
 * A call asks before each frame. The client has room while little waits for it, and the frame is within the limits of
 * its outbox. A call that gets no room waits behind those that wait already. It goes on when its turn comes, for as
 * long as there is room, and then waits at the end again. So a session with many answers is no slow consumer because of
 * them, and no answer waits for the end of another one. */
#ifndef CARILLON_UPSTREAM_ANSWER_TURNS_H
#define CARILLON_UPSTREAM_ANSWER_TURNS_H

#include "server/upstream/backend_call.h"

struct session;

struct answer_turns {
    struct hub *hub;
    struct session *session;  /* borrowed until answer_turns_end */
    struct list_link waiting; /* backend_call.turn */
    struct backend_call *now; /* goes on in this moment; NULL: none */
    struct timer timer;       /* runs while calls wait */
};

void answer_turns_begin(struct answer_turns *turns, struct hub *hub, struct session *session);
/* May the call give a frame of at most so many bytes? False: the call waits, and backend_call_go_on comes later. */
bool answer_turns_ask(struct answer_turns *turns, struct backend_call *call, size_t bytes);
/* No call waits any more. */
void answer_turns_end(struct answer_turns *turns);

#endif
