/* redis_keys.h - the names of what is in Redis: "prefix:{channel}:log" and its siblings. In a key, the bytes '%', '{'
 * and '}' of a channel name are written %25, %7B and %7D: so the braces of the hash tag are the only ones, all keys of
 * a channel share a cluster slot, and no two channels share a key.
 *
 * Redis's pub/sub knows no databases. So in a database other than 0 the names of pub/sub, "prefix:{channel}:live" and
 * those of nodes, begin with "prefix:@DATABASE" in place of the prefix: no prefix has an '@'. Pure; any thread. */
#ifndef CARILLON_BROKER_REDIS_REDIS_KEYS_H
#define CARILLON_BROKER_REDIS_REDIS_KEYS_H

#include "common/base/buf.h"

enum { REDIS_NAME_MAX = 64 };

/* 1 to 64 letters, digits and any of others. */
bool redis_name_is_good(struct str name, const char *others);
#define REDIS_NODE_ID_OTHERS "._-"

/* Appends what the names of pub/sub begin with. */
void redis_pubsub_prefix_append(struct buf *out, struct str prefix, unsigned database);

/* Appends prefix:{channel}:suffix. */
void redis_key_append(struct buf *out, struct str prefix, struct str channel, struct str suffix);

/* The keys of a channel that a publication needs, made of one allocation that is used again and again. */
struct redis_keys {
    struct str meta;
    struct str log;
    struct str live;
    struct str id; /* of the idempotency key; empty if event_id is */
    struct buf bytes;
};

/* Sets all; valid until the next call. pubsub_prefix: that of live. */
void redis_keys_set(struct redis_keys *keys, struct str prefix, struct str pubsub_prefix, struct str channel,
                    struct str event_id);

static inline void redis_keys_fini(struct redis_keys *keys)
{
    buf_fini(&keys->bytes);
}

#endif
