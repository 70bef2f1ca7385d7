/* line_step.h - the entry step of the rules that act at connect. A client that has been admitted is refused, waits, or
 * passes; a fault of another kind happens to its session as soon as it has one. One thread. */
#ifndef CARILLON_DEV_LINE_STEP_H
#define CARILLON_DEV_LINE_STEP_H

#include "server/net/entry/entry.h"

struct line;
struct line_set;

struct entry_step line_step(struct line_set *lines);
void line_step_fini(struct line_set *lines);
/* Refuses the clients that wait, and forgets what was decided for clients that have no session yet. */
void line_step_turn_away(struct line_set *lines);

/* The line's session has begun. Does what was decided when its client connected. */
void line_step_keep_promise(struct line *line);

#endif
