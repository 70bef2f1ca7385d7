/* journal.h - the lifecycle events of a run, as they lie in the stream of the model Redis. At the end they tell of each
 * session what has become of it, also of the sessions of killed nodes. Says what is wrong by world_fail. */
#ifndef CARILLON_TESTS_SIM_JOURNAL_H
#define CARILLON_TESTS_SIM_JOURNAL_H

#include "tests/sim/sim_node.h"

void journal_begin(void);
void journal_end(void);

/* All lifecycle events, and none. In the loop of the node. */
void journal_follow(struct sim_node *node);
void journal_leave(struct sim_node *node);

/* A session has begun at the node, and has ended. */
void journal_opened(const struct sim_node *node, const char *uuid);
void journal_closed(const char *uuid);
/* Redis has lost data: of what was there before, the order and the first events may be gone. */
void journal_lost(void);

/* When all nodes are alive and have had their time. */
void journal_check(void);

#endif
