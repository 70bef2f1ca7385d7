/* run.h - one run of one scenario: its settings, what it measures, and the phases that those with a duration share. A
 * scenario (scenarios.h) fills run->result. The thread that calls it publishes and measures; clients may have more
 * threads (lanes.h). Blocks until the run is over. */
#ifndef CARILLON_BENCH_LOAD_RUN_H
#define CARILLON_BENCH_LOAD_RUN_H

#include "bench/load/dialects/bench_dialect.h"
#include "bench/load/histogram.h"
#include "bench/load/loop.h"
#include "bench/load/process.h"
#include "common/token/keys.h"

enum { RUN_CONNECT_US = 120 * 1000 * 1000, RUN_OUTLET_US = 10 * 1000 * 1000, RUN_SERVERS_MAX = 8 };

struct run_settings {
    const struct bench_dialect *dialect;
    enum transport transport; /* that events are published over */
    size_t connections;       /* subscribers, clients, or connections that publish */
    size_t threads;           /* that serve them */
    size_t window;            /* events in flight, without a rate */
    uint64_t rate;            /* events a second; 0: closed loop */
    size_t publishers;        /* connections that they are published over */
    size_t batch;             /* events in one request */
    size_t data_bytes;        /* of an event: PAYLOAD_MIN or more */
    size_t first_bytes;   /* of each channel's first one, before the warm-up: data_bytes or more; 0: there is none */
    size_t at_once;       /* connections being made at a time, in each thread */
    uint64_t warmup_us;   /* load before the part that counts */
    uint64_t measure_us;  /* how long the part that counts lasts, unless there is a count */
    uint64_t count;       /* operations that count; 0: by time */
    uint64_t patience_us; /* how long is waited at the end for what is missing */
    struct str channel;
    const struct str *channels; /* that events are published on: the channel, or its rooms */
    size_t channel_count;
    bool in_turn;        /* rooms: one channel after the other, instead of at random */
    uint64_t seed;       /* of that */
    size_t slow_percent; /* slow: of the subscribers stop reading */
    uint64_t missed;     /* recover: events while the clients are away */
    bool subscribes;     /* connect: clients subscribe to the channel */
    bool binary;         /* request: of the messages */
    bool answered;       /* request: each message comes back */
    bool has_counts;     /* the report has the counts of the latencies */
    struct str api_key;
    const struct token_keys *keys; /* that the server verifies with; NULL: no tokens are made */
    const struct str *tickets;     /* connect: one for each connection, in place of tokens; NULL: none */
    size_t server_count;           /* 0: CPU and memory are not measured */
    pid_t servers[RUN_SERVERS_MAX];
};

/* One of the servers' processes, in the part that counts. */
struct run_server {
    uint64_t cpu_ns;
    uint64_t rss_bytes;       /* at the end */
    int64_t rss_growth_bytes; /* while the WebSocket connections were made */
    uint64_t peak_bytes;
};

/* The measurements. A field that was not measured is 0, and its has_ is false. */
struct run_result {
    uint64_t operations;
    uint64_t elapsed_us;
    bool has_events;
    uint64_t events; /* published */
    struct histogram latency;
    struct histogram first; /* of each event, at the subscriber that had it first */
    struct histogram last;
    uint64_t lost;
    uint64_t duplicated;
    uint64_t misordered;
    uint64_t stopped;           /* slow: clients that have stopped reading */
    uint64_t closed;            /* and those of them that the server has closed */
    uint64_t recovered_clients; /* recover: that have the last event they missed */
    uint64_t caught_up_us;      /* until the last of them had it; 0: not all have */
    bool has_growth;
    struct run_server servers[RUN_SERVERS_MAX];
    uint64_t generator_cpu_ns;
};

struct run {
    const struct run_settings *settings;
    const struct loop_target *clients;
    const struct loop_target *api;
    const struct loop_target *redis; /* NULL: none was named */
    struct loop loop;
    struct run_result result;
    /* The present phase of run_load. */
    uint64_t allowance; /* operations that may still begin */
    /* Since run_begin. */
    uint64_t began_us;
    struct process_usage servers_before[RUN_SERVERS_MAX];
    uint64_t generator_before_ns;
    /* Since run_weigh. */
    uint64_t weighed_bytes[RUN_SERVERS_MAX];
};

/* Takes the time, and the CPU time of the servers and of this process; run_end puts the differences into the result. */
enum err run_begin(struct run *run, struct error *error);
enum err run_end(struct run *run, struct error *error);

/* Looks how much memory the servers have; run_note_growth puts into the result how much more they have by then. */
enum err run_weigh(struct run *run, struct error *error);
enum err run_note_growth(struct run *run, struct error *error);

/* A load that keeps as much under way as it may. */
struct load {
    void *owner;
    void (*start)(void *owner);       /* begin operations: as many as there is room for and run_take allows */
    void (*turn)(void *owner);        /* after each turn of the loop; NULL: nothing to do there */
    size_t (*under_way)(void *owner); /* operations that have begun and not ended */
    const struct error *(*failure)(void *owner); /* why there is no going on; NULL while all is well */
    void (*forget)(void *owner);                 /* what was counted so far was the warm-up */
};

/* May one more operation begin? True counts it. */
bool run_take(struct run *run);

/* Runs the warm-up until nothing is under way. Then runs the part that counts, between run_begin and run_end, also
 * until nothing is under way. So the CPU time belongs to exactly the counted operations. An operation that has not
 * ended within the patience after the last one began is lost: the scenario counts it. After a warm-up with losses the
 * part that counts is left out. */
enum err run_load(struct run *run, const struct load *load, struct error *error);

#endif
