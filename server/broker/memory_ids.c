/* memory_ids.c - see memory_ids.h. All live equally long, so the queue is in order of expiry. */
#include "server/broker/memory_ids.h"

#include "common/base/alloc.h"
#include "common/protocol/channel.h"

struct known_id {
    struct list_link link;
    uint64_t expires_us;
    char id[UUID_LEN + 1];
    char epoch[EPOCH_MAX + 1];
    uint64_t offset;
    struct str key;
    char bytes[];
};

enum { KEY_MAX = CHANNEL_NAME_MAX + 1 + EVENT_ID_MAX };

/* No channel name holds a newline. */
static struct str make_key(const struct publication *publication, char out[KEY_MAX])
{
    struct str channel = publication->channel;
    struct str event_id = publication->event_id;
    memcpy(out, channel.ptr, channel.len);
    out[channel.len] = '\n';
    memcpy(out + channel.len + 1, event_id.ptr, event_id.len);
    return str_from(out, channel.len + 1 + event_id.len);
}

static void forget_oldest(struct memory_ids *ids)
{
    struct known_id *oldest = CONTAINER_OF(list_take_first(&ids->queue), struct known_id, link);
    map_remove(&ids->map, oldest->key);
    free(oldest);
}

static void expire(struct memory_ids *ids, uint64_t now_us)
{
    while (!list_is_empty(&ids->queue) && CONTAINER_OF(ids->queue.next, struct known_id, link)->expires_us <= now_us)
        forget_oldest(ids);
}

void memory_ids_init(struct memory_ids *ids, uint64_t window_us, size_t max)
{
    *ids = (struct memory_ids){.window_us = window_us, .max = max};
    list_init(&ids->queue);
}

void memory_ids_fini(struct memory_ids *ids)
{
    while (!list_is_empty(&ids->queue))
        forget_oldest(ids);
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

void memory_ids_remember(struct memory_ids *ids, const struct publication *publication, uint64_t now_us)
{
    char text[KEY_MAX];
    struct str key = make_key(publication, text);
    if (ids->max == 0)
        return;
    if (ids->map.count >= ids->max)
        forget_oldest(ids);
    struct known_id *known = xmalloc(sizeof *known + key.len);
    *known = (struct known_id){.expires_us = now_us + ids->window_us, .offset = publication->offset};
    memcpy(known->id, publication->id, sizeof known->id);
    memcpy(known->epoch, publication->epoch, sizeof known->epoch);
    memcpy(known->bytes, key.ptr, key.len);
    known->key = str_from(known->bytes, key.len);
    map_put(&ids->map, known->key, known);
    list_append(&ids->queue, &known->link);
}
