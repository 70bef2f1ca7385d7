/* outlet_kind.h - one transport of an outlet (outlet.h): HTTP, WebSocket or Redis, each in a file of its own. */
#ifndef CARILLON_BENCH_LOAD_OUTLET_KIND_H
#define CARILLON_BENCH_LOAD_OUTLET_KIND_H

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

/* For the kinds: the server has taken, or refused, events. */
void outlet_accept(struct outlet *outlet, size_t connection, size_t events);
void outlet_refuse(struct outlet *outlet, const char *how, struct str words);

#endif
