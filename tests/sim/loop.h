/* loop.h - libuv's loops over the simulated world. loop.c (loops, timers, wake-ups) and network.c (sockets) define the
 * calls of <uv.h> that the nodes use, and names.c those of name_lookup.h. They take the place of the real ones when the
 * simulator is linked. A loop is a thread of a node. It runs when something is due, and may be held up for a while.
 * Only one loop runs at a time. */
#ifndef CARILLON_TESTS_SIM_LOOP_H
#define CARILLON_TESTS_SIM_LOOP_H

#include <stdbool.h>
#include <uv.h>

enum { LOOP_HANDLES_MAX = 64 };

struct handle_set {
    uv_handle_t *all[LOOP_HANDLES_MAX];
    size_t count;
};

/* Input for a loop: run in its poll phase. */
struct loop_input {
    void (*run)(void *owner, void *argument);
    void *owner;
    void *argument;
};

struct sim_loop {
    uv_loop_t uv; /* uv.data is this struct */
    uint64_t now_ms;
    uint64_t timers_started;
    struct handle_set timers; /* active ones, as are the next two */
    struct handle_set prepares;
    struct handle_set checks;
    struct handle_set closing;
    struct loop_input *input;
    size_t input_count;
    size_t input_cap;
    bool has_rung; /* bell_ring was called */
    size_t open;   /* handles and requests that have not ended */
    uint64_t paused_until_us;
    uint64_t wakes_at_us;      /* when it is going to run */
    uint64_t cut_off_until_us; /* from Redis */
    bool dead;                 /* runs no more by itself */
    int64_t wall_ahead_ms;     /* of its wall clock */
};

void loop_init(struct sim_loop *loop);
/* Nothing may be open. */
void loop_fini(struct sim_loop *loop);

/* Input from outside; the loop runs soon. */
void loop_post(struct sim_loop *loop, void (*run)(void *, void *), void *owner, void *argument);
void loop_pause(struct sim_loop *loop, uint64_t until_us);
/* Its wall clock jumps: it is so much ahead of the right time from now on, or behind. */
void loop_set_clock(struct sim_loop *loop, int64_t ahead_ms);
/* The wall clock of the loop that is entered. */
uint64_t loop_wall_ms(void);

/* The code that follows runs in the thread of this loop (pthread_self); NULL: in that of the simulator. Returns the one
 * before. */
struct sim_loop *loop_enter(struct sim_loop *loop);

/* Runs it here and now, as often as anything is left to do at this moment: for the end of a node. */
void loop_drain(struct sim_loop *loop);

struct sim_loop *loop_of(const uv_loop_t *uv);
/* For network.c. */
void loop_count(struct sim_loop *loop, int change);
void loop_wake(struct sim_loop *loop);

#endif
