/* echo.c - scenario echo: on each connection a JSON ping goes out as soon as the pong before has come. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "server/cli/bench/run.h"

struct echo_client {
    bool waiting;
    uint64_t id; /* of its last ping */
    uint64_t sent_us;
};

struct echo {
    struct run *run;
    struct crowd crowd;
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
    crowd_send(&echo->crowd, index, buf_str(&echo->text));
}

static void start(void *owner)
{
    struct echo *echo = owner;
    for (size_t i = 0; i < echo->crowd.count; i++)
        if (!echo->clients[i].waiting && run_take(echo->run))
            ping(echo, i);
}

static void on_text(void *owner, size_t index, struct str text)
{
    struct echo *echo = owner;
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
    histogram_record(&echo->run->result.latency, clock_now_us() - client->sent_us);
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
    if (echo->crowd.gone > 0)
        return &echo->crowd.error;
    return echo->failed ? &echo->error : NULL;
}

static void forget(void *owner)
{
    ((struct echo *)owner)->round_trips = 0;
}

enum err scenario_echo(struct run *run, struct error *error)
{
    struct echo echo = {.run = run};
    struct buf *tokens = NULL;
    const struct load load = {&echo, start, NULL, under_way, failure, forget};
    echo.crowd.on_text = on_text;
    echo.crowd.owner = &echo;
    echo.clients = xcalloc(run->settings->connections, sizeof *echo.clients);
    enum err err = run_connect(run, &echo.crowd, &tokens, error);
    if (!err)
        err = run_load(run, &load, error);
    run->result.operations = echo.round_trips;
    run->result.lost = echo.waiting;
    run->result.misordered = echo.misordered;
    crowd_fini(&echo.crowd);
    run_free_tokens(tokens, run->settings->connections);
    free(echo.clients);
    buf_fini(&echo.text);
    return err;
}
