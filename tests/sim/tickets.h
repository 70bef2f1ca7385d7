/* tickets.h - tickets and tokens for one connection, and the clients that come with them. They come to any node, once
 * or ten at a time, and come back after a lost connection with the ticket that they have. Checks who gets in, and that
 * a client that comes back misses nothing. */
#ifndef CARILLON_TESTS_SIM_TICKETS_H
#define CARILLON_TESTS_SIM_TICKETS_H

#include "tests/sim/sim_node.h"

/* nodes: those alive are asked. */
void tickets_begin(struct sim_node **nodes, size_t node_count);
void tickets_end(void);

/* One of the things that such clients do. */
void tickets_act(void);
/* A fault begins: for some time a lease may be over while its session lives. */
void tickets_note_fault(void);
/* Redis has lost data. */
void tickets_note_loss(void);

/* At the end, when no fault has hit anybody for a while: new tickets and tokens are used, all connections with them are
 * lost by `lose` and come back, end in order, and are tried again. Takes some simulated seconds. */
void tickets_check(void (*lose)(void));

#endif
