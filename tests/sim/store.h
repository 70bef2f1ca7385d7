/* store.h - the data of the model Redis: keys with values and ends, and the commands on them. Knows no connections and
 * no scripts. It can be copied whole: snapshots and lagging replicas are copies. */
#ifndef CARILLON_TESTS_SIM_STORE_H
#define CARILLON_TESTS_SIM_STORE_H

#include "common/base/buf.h"
#include "common/base/map.h"

enum key_type { KEY_STRING, KEY_HASH, KEY_ZSET, KEY_SET, KEY_STREAM };

struct item {
    struct str name;  /* of a hash's field or a set's member; of a stream's entry its fields, as a RESP array */
    struct str value; /* of a string, and of a hash's field */
    double score;
    uint64_t major, minor; /* of a stream's entry */
};

struct key {
    struct str name;
    enum key_type type;
    uint64_t ends_ms; /* 0: never */
    struct item *items;
    size_t count;
    size_t cap;
    uint64_t last_major, last_minor; /* of a stream */
    struct stream_group *group;      /* the same; NULL: none */
};

struct store {
    struct map keys;
    bool full; /* maxmemory is reached, noeviction */
    bool read_only;
    bool loading;
};

void store_clear(struct store *store);
/* to is empty. */
void store_copy(struct store *to, const struct store *from);

/* As if somebody had deleted it. */
void store_lose(struct store *store, struct str name);

/* A command and its answer in RESP2. Borrows its texts. */
struct store_call {
    struct store *store;
    uint64_t now_ms;
    size_t argc;
    const struct str *argv;
    bool dirty; /* of a script that has written already: memory is no longer asked about */
    bool wrote; /* set by the call */
    struct buf *out;
    /* Carries out PUBLISH. Returns how many clients got the message. */
    size_t (*publish)(struct str channel, struct str message);
    /* Hears the key of every write that is refused, as the store is full or read-only. */
    void (*refused)(struct str key);
    size_t (*listeners)(struct str channel); /* how many clients are subscribed to it */
};

/* False if there is no such command. */
bool store_run(struct store_call *call);

/* For checks: NULL if it is not there. */
const struct key *store_find(const struct store *store, struct str name, uint64_t now_ms);
const struct str *store_field(const struct key *key, struct str field);
/* Of a stream: what has been read and not acknowledged. */
size_t store_count_pending(const struct key *key);

void resp_error(struct buf *out, const char *text);
void resp_status(struct buf *out, const char *text);
void resp_number(struct buf *out, int64_t value);
void resp_text(struct buf *out, struct str text);
void resp_nothing(struct buf *out);
void resp_array(struct buf *out, size_t count);

#endif
