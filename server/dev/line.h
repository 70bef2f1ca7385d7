/* line.h - the lines stand in front of the WebSocket transport: every frame of every session passes here, in both
 * directions, and the faults of the rules happen to it. The journal is told what really went out and what really came
 * in. One thread. */
#ifndef CARILLON_DEV_LINE_H
#define CARILLON_DEV_LINE_H

#include "server/dev/line_state.h"

/* The journal and the broker are borrowed. The lines stay where they are. */
void lines_init(struct line_set *lines, struct journal *journal, struct dev_broker *broker);
/* The hub is there, and no session yet. Borrowed for its life. */
void lines_start(struct line_set *lines, struct hub *hub);
/* No line is frozen or slow any more. What lines hold passes now, and no answer is going to be lost. */
void lines_calm(struct line_set *lines);
/* After the server has ended. */
void lines_fini(struct line_set *lines);

#endif
