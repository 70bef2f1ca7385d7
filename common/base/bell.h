/* bell.h - other threads wake a loop. libuv's own way (uv_async_t) lets the loop spin, up to version 1.44, until the
 * thread that woke it comes back from its write. On a busy machine that takes as long as the thread's next time slice.
 */
#ifndef CARILLON_BASE_BELL_H
#define CARILLON_BASE_BELL_H

#include <uv.h>

struct bell {
    int fd; /* eventfd */
    uv_poll_t poll;
};

/* In the loop's thread, or before the loop runs. The program ends if there is no descriptor left. */
void bell_init(struct bell *bell, uv_loop_t *loop);
/* Any thread: the loop turns once more. */
void bell_ring(struct bell *bell);
/* In the loop's thread, after the last ring. The loop must run once more before the memory goes. */
void bell_close(struct bell *bell);

#endif
