/* line_in.h - what comes from the client of one line. Without a fault it goes to the hub at once. When more is held
 * than LANE_BUFFER, and while the line is frozen, nothing is read from the socket. One thread. */
#ifndef CARILLON_DEV_LINE_IN_H
#define CARILLON_DEV_LINE_IN_H

#include "server/dev/lane.h"

struct line;

void line_in_init(struct line *line, struct wheel *wheel);
/* The session has gone. */
void line_in_fini(struct line *line);

/* Gives the item to the hub behind all that is held, and not before due_us. */
void line_in_put(struct line *line, enum ws_opcode opcode, struct str payload, uint64_t due_us);
/* The hub wants no input, or wants it again. */
void line_in_hold(struct line *line, bool hold);
/* A fault has ended, or begun. */
void line_in_settle(struct line *line);

#endif
