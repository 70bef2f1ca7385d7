/* redis.h - the model Redis: clients, pub/sub and scripts over a store (store.h). Scripts run for real, in Lua 5.1 as
 * in Redis itself. So their text is tested. The commands are modelled. One at a time. */
#ifndef CARILLON_TESTS_SIM_REDIS_H
#define CARILLON_TESTS_SIM_REDIS_H

#include "tests/sim/network.h"
#include "tests/sim/store.h"

struct redis_client;

/* published hears every PUBLISH, refused the key of every write that is refused. */
void redis_begin(void (*published)(struct str channel, struct str message), void (*refused)(struct str key));
void redis_end(void);
struct store *redis_store(void);

/* --- clients --- */
struct redis_client *redis_accept(struct wire *wire, uint64_t number);
void redis_receive(struct redis_client *client, struct str bytes);
void redis_hang_up(struct redis_client *client);
bool redis_is_subscriber(const struct redis_client *client);
const struct wire *redis_wire(const struct redis_client *client);

/* Whole commands, without a connection: the answers are appended. For comparison with a real one. */
void redis_talk(struct str bytes, struct buf *out);

/* --- faults --- */
void redis_forget_scripts(void);
/* The most unsent bytes of a subscriber before it is cut (client-output-buffer-limit pubsub). */
void redis_limit_output(size_t bytes);
/* A copy of the data as they are now, in the place of an older one: a snapshot, or a replica that has fallen behind. */
void redis_take_copy(void);
/* Goes back to the data of the copy, or to none at all. Later writes are lost. Clients are cut before. */
void redis_use_copy(void);
void redis_lose_all(void);
/* FLUSHDB, and DEL: nobody's connection is touched. The copy has them no more either. */
void redis_flush(void);
void redis_delete(struct str key);

/* --- redis_scripts.c --- */
void scripts_begin(void);
void scripts_end(void);
/* Knows the script from now on; its hash has 40 digits. */
void scripts_load(struct str text, char out_hash[41]);
void scripts_forget(void);
/* Runs the one of that hash, which must be known, and answers. */
bool scripts_knows(struct str hash);
void scripts_run(struct str hash, const struct str *keys, size_t key_count, const struct str *arguments,
                 size_t argument_count, struct store_call *call);

#endif
