/* tokens.h - the clients' tokens: their users, the sessions that they allow (session_limit), and the revoked ones. It
 * checks who gets in and who is put out. It also does the work of the gates: it refuses revoked tokens, and counts a
 * user's sessions on each node. */
#ifndef CARILLON_TESTS_SIM_TOKENS_H
#define CARILLON_TESTS_SIM_TOKENS_H

#include "tests/sim/sim_node.h"

/* nodes: those alive are asked to revoke. */
void tokens_begin(struct sim_node **nodes, size_t node_count, size_t client_count);
void tokens_end(void);

/* --- clients --- */
/* The token that the client shows now; the reference is the caller's. Another one than before, most of the time, if it
 * has been put out as revoked. */
struct claims *tokens_show(size_t client);
/* The client has heard that its session has begun. */
void tokens_session_begins(size_t client);
/* Its connection has ended for that reason; "": nobody said. */
void tokens_session_ends(size_t client, const char *reason);

/* --- the gate --- */
/* Why the node refuses the client's new connection; NULL: it does not. In the worker's thread. */
const char *tokens_refusal(const struct sim_node *node, size_t client, const struct claims *claims);

/* --- revocation --- */
/* Asks some node, until one says yes, that the client's token be revoked, or all that its user has had until now. */
void tokens_revoke(size_t client);
/* None of those waits for an answer. */
bool tokens_are_quiet(void);
/* Redis has lost data. */
void tokens_note_loss(void);
/* The same, and nobody's connection was cut. */
void tokens_note_flush(void);

/* --- checks --- */
/* From here on no limit is exceeded, not even for a moment: no fault will hit anybody. */
void tokens_expect_calm(void);
/* At the end: nobody is connected whose token is revoked. */
void tokens_check_revoked(void);
/* After that: all clients with a limit come anew at once, each to some node. Checks that as many get in as the limit
 * allows, and that the others are told the reason. Takes a few simulated seconds. */
void tokens_check_crowd(void);
/* After that, once all nodes have ended in order: checks that Redis has no session slot left. */
void tokens_check_places(void);

#endif
