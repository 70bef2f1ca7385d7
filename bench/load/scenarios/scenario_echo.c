/* scenario_echo.c - scenario echo: on each connection a JSON ping goes out as soon as the pong before has come. */
#include "bench/load/lanes.h"
#include "bench/load/scenarios/scenarios.h"
#include "common/base/alloc.h"
#include "common/base/clock.h"

struct echo_client {
    bool waiting;
    uint64_t id; /* of its last ping */
    uint64_t sent_us;
};

struct echo {
    struct run *run;
    struct lanes lanes; /* one: there is little to share */
    struct crowd *crowd;
    struct echo_client *clients;
    size_t waiting;
    uint64_t round_trips;
    uint64_t misordered;
    bool failed;
    struct error error;
    struct buf text;
};

static void ping(struct echo *echo, size_t index)
{
    struct echo_client *client = &echo->clients[index];
    buf_clear(&echo->text);
    buf_appendf(&echo->text, "{\"type\":\"ping\",\"id\":%llu,\"data\":{}}", (unsigned long long)++client->id);
    client->waiting = true;
    client->sent_us = clock_now_us();
    echo->waiting++;
    crowd_queue(echo->crowd, index, buf_str(&echo->text));
    crowd_flush(echo->crowd, index);
}

static void start(void *owner)
{
    struct echo *echo = owner;
    for (size_t i = 0; i < echo->crowd->count; i++)
        if (!echo->clients[i].waiting && run_take(echo->run))
            ping(echo, i);
}

static void on_item(void *owner, size_t index, enum dialect_item item, struct str text, uint64_t now_us)
{
    struct echo *echo = ((struct lane *)owner)->owner;
    (void)item;
    struct echo_client *client = &echo->clients[index];
    static const char mark[] = "\"id\":";
    const char *at = memmem(text.ptr, text.len, mark, sizeof mark - 1);
    if (!at || !memmem(text.ptr, text.len, "\"pong\"", 6) || !client->waiting) {
        if (!echo->failed)
            error_set(&echo->error, ERR_UNAVAILABLE,
                      "a client got what is no answer to its ping (limits.message_rate should be 0): %.*s",
                      STR_ARG(text));
        echo->failed = true;
        return;
    }
    histogram_record(&echo->run->result.latency, now_us - client->sent_us);
    if (strtoull(at + sizeof mark - 1, NULL, 10) != client->id)
        echo->misordered++;
    client->waiting = false;
    echo->waiting--;
    echo->round_trips++;
    if (run_take(echo->run))
        ping(echo, index);
}

static size_t under_way(void *owner)
{
    return ((struct echo *)owner)->waiting;
}

static const struct error *failure(void *owner)
{
    struct echo *echo = owner;
    return echo->failed ? &echo->error : lanes_failure(&echo->lanes);
}

static void forget(void *owner)
{
    ((struct echo *)owner)->round_trips = 0;
}

enum err scenario_echo(struct run *run, struct error *error)
{
    struct echo echo = {.run = run};
    const struct load load = {&echo, start, NULL, under_way, failure, forget};
    enum err err = lanes_init(&echo.lanes, run, true, on_item, error);
    echo.lanes.items[0].owner = &echo;
    echo.crowd = &echo.lanes.items[0].crowd;
    echo.clients = xcalloc(echo.crowd->count, sizeof *echo.clients);
    if (!err)
        err = lanes_connect_and_weigh(&echo.lanes, error);
    if (!err)
        err = run_load(run, &load, error);
    run->result.operations = echo.round_trips;
    run->result.lost = echo.waiting;
    run->result.misordered = echo.misordered;
    lanes_fini(&echo.lanes);
    free(echo.clients);
    buf_fini(&echo.text);
    return err;
}
