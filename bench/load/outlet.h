/* outlet.h - how events get to the server: over HTTP, over WebSocket or through Redis, pipelined. An event is handed
 * over for one of the outlet's connections, and leaves with outlet_send. Single thread: the loop's. */
#ifndef CARILLON_BENCH_LOAD_OUTLET_H
#define CARILLON_BENCH_LOAD_OUTLET_H

#include "bench/load/crowd.h"
#include "bench/load/pool.h"
#include "bench/load/run.h"

struct outlet {
    struct run *run;
    size_t count; /* connections */
    /* The server has taken events of that connection; NULL: nobody wants to know. */
    void (*on_accepted)(void *owner, size_t connection, size_t events);
    void *owner;

    const struct outlet_kind *kind;
    size_t under_way; /* events without an answer; of a dialect that does not answer always 0 */
    bool failed;      /* error says why */
    struct error error;
    struct buf text;     /* scratch: one event's data */
    struct buf message;  /* scratch: what is around it */
    struct pool pool;    /* HTTP and Redis */
    size_t *posts;       /* owned; HTTP: requests of each connection without an answer yet */
    struct buf *batches; /* owned; HTTP in batches: the begun body of each connection */
    size_t *batched;     /* owned: events in it */
    struct crowd crowd;  /* WebSocket */
    struct buf *tokens;  /* owned: the crowd's */
};

/* One of the transports: the functions behind the calls below. */
struct outlet_kind {
    enum err (*open)(struct outlet *outlet, struct error *error);
    void (*publish)(struct outlet *outlet, size_t connection, struct str channel, struct str data);
    void (*send)(struct outlet *outlet, size_t connection);
    void (*close)(struct outlet *outlet);
    const struct error *(*failure)(const struct outlet *outlet);
};

extern const struct outlet_kind outlet_http, outlet_websocket, outlet_redis;

/* The fields before `kind` are the caller's. Connects, by run->settings->transport. outlet_close in any case. */
enum err outlet_open(struct outlet *outlet, struct error *error);
void outlet_close(struct outlet *outlet);

/* Event `number` of the run (payload.h) on channel `channel` of the settings. */
void outlet_publish(struct outlet *outlet, size_t connection, uint32_t channel, uint32_t number, size_t data_bytes);

/* Sends what the connection has, the batch that is not full too. */
void outlet_send(struct outlet *outlet, size_t connection);

/* Why there is no going on; NULL while all is well. */
const struct error *outlet_failure(const struct outlet *outlet);

/* For the kinds: the server has taken, or refused, events. */
void outlet_accept(struct outlet *outlet, size_t connection, size_t events);
void outlet_refuse(struct outlet *outlet, const char *how, struct str words);

#endif
