/* line_out.h - what goes to the client of one line. Without a fault it passes as it came. What is held counts as taken
 * by the kernel, up to LANE_BUFFER. Over that the hub waits, and its own limits for slow clients hold. One thread. */
#ifndef CARILLON_DEV_LINE_OUT_H
#define CARILLON_DEV_LINE_OUT_H

#include "server/core/transport.h"
#include "server/dev/lane.h"

struct line;

void line_out_init(struct line *line, struct wheel *wheel);
/* The session has gone. */
void line_out_fini(struct line *line);

/* Nothing stands in the way of whole frames: line_out_pass may be called. */
bool line_out_is_clear(const struct line *line);
/* Writes whole frames at once, as they are. */
void line_out_pass(struct line *line, struct str frames);
/* Writes the item behind all that is held, and not before item->due_us. */
void line_out_put(struct line *line, const struct lane_item *item);
/* The same for a text message that is not the hub's. */
void line_out_message(struct line *line, struct str text);
/* Half a close: the client sees the end of the stream once what is held has gone. Later messages are dropped. */
void line_out_end(struct line *line);

/* What the hub is told after its frames have been put or passed. */
enum write_result line_out_result(struct line *line, uint32_t *out_unsent);
/* The kernel has taken what the stream kept. */
void line_out_writable(struct line *line);
/* A fault has ended, or begun. Not from within a call of the hub. */
void line_out_settle(struct line *line);
/* The hub ends the connection. A frozen line ends it when it thaws. */
void line_out_finish(struct line *line, bool abrupt);

#endif
