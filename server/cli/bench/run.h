/* run.h - one run of one scenario: its settings, what it measures, and the closed loop that those with a duration
 * share. A scenario is a function that fills run->result. Single thread; blocks until the run is over. */
#ifndef CARILLON_CLI_BENCH_RUN_H
#define CARILLON_CLI_BENCH_RUN_H

#include "common/token/keys.h"
#include "server/cli/bench/crowd.h"
#include "server/cli/bench/http_pool.h"
#include "server/cli/bench/process.h"

struct run_settings {
    size_t connections;  /* subscribers, clients, or connections that publish */
    size_t window;       /* fanout: events in flight */
    size_t publishers;   /* fanout: HTTP connections that they are published over */
    size_t batch;        /* publish: events in one request */
    size_t data_bytes;   /* of an event */
    size_t at_once;      /* connections being made at a time */
    uint64_t warmup_us;  /* load before the part that counts */
    uint64_t measure_us; /* how long the part that counts lasts, unless there is a count */
    uint64_t count;      /* operations that count; 0: by time */
    struct str channel;
    struct str api_key;
    const struct token_keys *keys; /* that the server verifies with; NULL: publishing only */
    pid_t server_pid;              /* 0: its CPU and memory are not measured */
};

enum { RUN_DATA_MIN = 32, RUN_CONNECT_US = 120 * 1000 * 1000 };

/* What was measured. A field that was not is 0, and its has_ says so. */
struct run_result {
    uint64_t operations;
    uint64_t elapsed_us;
    struct histogram latency;
    uint64_t lost;
    uint64_t duplicated;
    uint64_t misordered;
    bool has_server;
    uint64_t server_cpu_ns;
    uint64_t server_rss_bytes; /* at the end */
    bool has_growth;
    int64_t rss_growth_bytes; /* of the server, while the WebSocket connections were made */
    uint64_t generator_cpu_ns;
};

struct run {
    const struct run_settings *settings;
    const struct loop_target *clients;
    const struct loop_target *api;
    struct loop loop;
    struct run_result result;
    /* The present phase of run_load. */
    uint64_t allowance; /* operations that may still begin */
    /* Since run_begin. */
    uint64_t began_us;
    struct process_usage server_before;
    struct process_usage generator_before;
};

struct scenario {
    const char *name;
    const char *unit;
    size_t connections;
    const char *summary;
    enum err (*run)(struct run *run, struct error *error);
};

#define SCENARIO(name, unit, connections, summary) enum err scenario_##name(struct run *run, struct error *error);
#include "server/cli/bench/scenarios.def"
#undef SCENARIO

/* Ends with a row whose name is NULL. */
extern const struct scenario scenarios[];

/* Takes the time, and the CPU time of the server and of this process; run_end puts the differences into the result. */
enum err run_begin(struct run *run, struct error *error);
enum err run_end(struct run *run, struct error *error);

/* Fills in the crowd but for who gets its texts, and makes tokens for users "bench-0" and so on, which the crowd
 * borrows. In any case the caller calls crowd_fini, then run_free_tokens. */
enum err run_prepare(struct run *run, struct crowd *crowd, struct buf **out_tokens, struct error *error);
void run_free_tokens(struct buf *tokens, size_t count);

/* The same, connects all clients, and notes how the server's memory has grown with them. */
enum err run_connect(struct run *run, struct crowd *crowd, struct buf **out_tokens, struct error *error);
void run_note_growth(struct run *run, const struct process_usage *before, uint64_t rss_bytes);

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

/* Warm-up until nothing is under way, then the part that counts, between run_begin and run_end, also until nothing is
 * under way: so the CPU time belongs to exactly the operations that are counted. What has not ended ten seconds after
 * the last one began is left to the scenario to count as lost. */
enum err run_load(struct run *run, const struct load *load, struct error *error);

/* Appends {"n":<number>,"pad":"xx..."} of data_bytes in all; at least RUN_DATA_MIN. */
void run_append_data(struct buf *out, uint32_t number, size_t data_bytes);

#endif
