/* lanes.h - the clients of a run, shared among threads: a lane is a thread with a loop and its share of the clients.
 * The first lane is the thread that calls; it alone publishes and takes the measurements, and it must turn its own loop
 * (run_load does). The others serve their clients until lanes_stop. */
#ifndef CARILLON_BENCH_LOAD_LANES_H
#define CARILLON_BENCH_LOAD_LANES_H

#include <pthread.h>
#include <stdatomic.h>

#include "bench/load/crowd.h"
#include "bench/load/ledger.h"
#include "bench/load/run.h"

enum { LANES_MAX = 64 };

struct lane {
    struct lanes *lanes;
    void *owner;       /* what the scenario likes */
    struct loop *loop; /* of the first one the run's, else owned */
    struct loop own_loop;
    struct crowd crowd;
    struct buf *tokens;      /* owned */
    struct ledger_part part; /* for scenarios that keep a ledger; theirs to set up, ours to free */
    size_t payload_hint;     /* theirs, too: see payload_number */
    uint32_t rung;           /* part.completed when the first lane was last told */
    pthread_t thread;
    bool started;
    _Atomic bool connected;
    _Atomic bool failed; /* error is set, and no more written */
    struct error error;
};

struct lanes {
    struct run *run;
    size_t count;
    struct lane *items; /* owned */
    _Atomic bool stop;
};

/* Shares run->settings->connections clients among run->settings->threads lanes; the clients subscribe to the run's
 * channels if wants_channels. Makes the tokens. on_item gets the lane as owner. lanes_fini in any case. */
enum err lanes_init(struct lanes *lanes, struct run *run, bool wants_channels,
                    void (*on_item)(void *lane, size_t client, enum dialect_item item, struct str payload,
                                    uint64_t now_us),
                    struct error *error);

/* Starts the threads and connects all clients. */
enum err lanes_connect(struct lanes *lanes, struct error *error);

/* The same between two looks at how much memory the servers have. */
enum err lanes_connect_and_weigh(struct lanes *lanes, struct error *error);

/* The first failure in a lane since all are connected: a lost client, or lane_fail. NULL: none. */
const struct error *lanes_failure(struct lanes *lanes);

/* Reports, in the lane's own thread, a failure after which it cannot go on. The first one counts. */
void lane_fail(struct lane *lane, const char *who, struct str words);

/* Ends and joins the threads: from here on the caller may look into all lanes. */
void lanes_stop(struct lanes *lanes);

/* Sums: only after lanes_stop. */
size_t lanes_ready(const struct lanes *lanes);
void lanes_add_latency(const struct lanes *lanes, struct histogram *out);

void lanes_fini(struct lanes *lanes);

#endif
