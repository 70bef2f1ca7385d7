/* redis_keys.h - the names of keys and pub/sub channels in Redis, such as "prefix:{channel}:log". In a name, the bytes
 * '%', '{' and '}' of the channel are written %25, %7B and %7D. So the braces of the hash tag are the only ones. All
 * keys of a channel share a slot of a cluster, and no two channels share a key.
 *
 * pub/sub of Redis does not know databases. So in a database other than 0 the names of pub/sub channels begin with
 * "prefix:@DATABASE" in place of the prefix. No prefix has an '@'. Pure, for any thread. */
#ifndef CARILLON_BROKER_REDIS_REDIS_KEYS_H
#define CARILLON_BROKER_REDIS_REDIS_KEYS_H

#include "common/base/buf.h"

enum { REDIS_NAME_MAX = 64 };

/* True if name has 1 to 64 bytes, each a letter, a digit or one of others. */
bool redis_name_is_good(struct str name, const char *others);
#define REDIS_NODE_ID_OTHERS "._-"

/* Appends the beginning of the names of pub/sub channels. */
void redis_pubsub_prefix_append(struct buf *out, struct str prefix, unsigned database);

/* Appends prefix:{channel}:suffix. */
void redis_key_append(struct buf *out, struct str prefix, struct str channel, struct str suffix);

/* The keys of a channel that a publication needs. They lie in one allocation, which is used again and again. */
struct redis_keys {
    struct str meta;
    struct str log;
    struct str live;
    struct str id; /* key of the event_id; empty without an event_id */
    struct buf bytes;
};

/* Sets all keys; they are valid until the next call. pubsub_prefix: the beginning of live. */
void redis_keys_set(struct redis_keys *keys, struct str prefix, struct str pubsub_prefix, struct str channel,
                    struct str event_id);

static inline void redis_keys_fini(struct redis_keys *keys)
{
    buf_fini(&keys->bytes);
}

#endif
