/* farewell.h - connections that are ending, and whose sessions have gone. Each has had its close frame. Its client has
 * a second of real time to answer that frame and to end the connection. So a reset does not wait for its clients, and
 * no client misses why its session has ended. One thread. */
#ifndef CARILLON_DEV_FAREWELL_H
#define CARILLON_DEV_FAREWELL_H

#include <uv.h>

#include "common/base/list.h"

struct session;

struct farewells {
    struct list_link all; /* the oldest first */
    uv_timer_t timer;     /* to the end of the oldest */
    bool busy;            /* clients that answer wait for farewells_go_on */
};

void farewells_init(struct farewells *farewells, uv_loop_t *loop);
/* The server ends: no client is waited for. May be called again, and for farewells that are zeroed. */
void farewells_end(struct farewells *farewells);

/* The WebSocket session has written its close frame, and goes now (hub_gone). farewells_go_on follows. */
void farewell_begin(struct farewells *farewells, struct session *session);
/* The reset is done: now there is time for the clients that have answered. */
void farewells_go_on(struct farewells *farewells);

#endif
