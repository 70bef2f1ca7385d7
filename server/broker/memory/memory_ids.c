/* memory_ids.c - see memory_ids.h. All ids live equally long, so the queue is in order of expiry. */
#include "server/broker/memory/memory_ids.h"

#include "common/base/alloc.h"
#include "common/protocol/channel_name.h"

struct known_id {
    struct list_link link;
    struct memory_part part;
    size_t size;
    uint64_t expires_us;
    char id[UUID_LEN + 1];
    char epoch[EPOCH_MAX + 1];
    uint64_t offset;
    struct str key;
    char bytes[];
};

enum {
    KEY_MAX = CHANNEL_NAME_MAX + 1 + EVENT_ID_MAX,
    ELSEWHERE_BYTES = 80, /* that an id costs besides its struct, about: a place in the map, and malloc's header */
};

/* No channel name holds a newline. */
static struct str make_key(const struct publication *publication, char out[KEY_MAX])
{
    struct str channel = publication->base.channel;
    struct str event_id = publication->event_id;
    memcpy(out, channel.ptr, channel.len);
    out[channel.len] = '\n';
    memcpy(out + channel.len + 1, event_id.ptr, event_id.len);
    return str_from(out, channel.len + 1 + event_id.len);
}

static void forget(struct memory_ids *ids, struct known_id *known)
{
    ids->bytes -= known->size;
    memory_shares_remove(&ids->shares, &known->part);
    list_remove(&known->link);
    map_remove(&ids->map, known->key);
    free(known);
}

static struct known_id *oldest(const struct memory_ids *ids)
{
    return list_is_empty(&ids->queue) ? NULL : CONTAINER_OF(ids->queue.next, struct known_id, link);
}

static void expire(struct memory_ids *ids, uint64_t now_us)
{
    for (struct known_id *known; (known = oldest(ids)) && known->expires_us <= now_us;)
        forget(ids, known);
}

void memory_ids_init(struct memory_ids *ids, uint64_t window_us, size_t bytes_max, size_t share)
{
    *ids = (struct memory_ids){.window_us = window_us, .bytes_max = bytes_max};
    list_init(&ids->queue);
    memory_shares_init(&ids->shares, share);
}

void memory_ids_fini(struct memory_ids *ids)
{
    for (struct known_id *known; (known = oldest(ids));)
        forget(ids, known);
    memory_shares_fini(&ids->shares);
    map_fini(&ids->map);
}

bool memory_ids_recall(struct memory_ids *ids, struct publication *publication, uint64_t now_us)
{
    char key[KEY_MAX];
    expire(ids, now_us);
    const struct known_id *known = map_get(&ids->map, make_key(publication, key));
    if (!known)
        return false;
    memcpy(publication->id, known->id, sizeof known->id);
    memcpy(publication->epoch, known->epoch, sizeof known->epoch);
    publication->offset = known->offset;
    publication->duplicate = true;
    return true;
}

static size_t make_room(struct memory_ids *ids, const struct known_id *newest)
{
    size_t count = 0;
    for (struct memory_part *part; (part = memory_shares_over(&ids->shares, &newest->part)); count++) {
        struct known_id *known = CONTAINER_OF(part, struct known_id, part);
        if (known == newest)
            break;
        forget(ids, known);
    }
    for (; ids->bytes > ids->bytes_max && oldest(ids) != newest; count++)
        forget(ids, oldest(ids));
    return count;
}

size_t memory_ids_remember(struct memory_ids *ids, const struct publication *publication, uint64_t now_us)
{
    char text[KEY_MAX];
    struct str key = make_key(publication, text);
    struct known_id *known = xmalloc(sizeof *known + key.len);
    *known = (struct known_id){.expires_us = now_us + ids->window_us, .offset = publication->offset};
    memcpy(known->id, publication->id, sizeof known->id);
    memcpy(known->epoch, publication->epoch, sizeof known->epoch);
    memcpy(known->bytes, key.ptr, key.len);
    known->key = str_from(known->bytes, key.len);
    known->size = sizeof *known + key.len + ELSEWHERE_BYTES;
    map_put(&ids->map, known->key, known);
    list_append(&ids->queue, &known->link);
    ids->bytes += known->size;
    memory_shares_put(&ids->shares, &known->part, publication->user_hash, known->size);
    return make_room(ids, known);
}
