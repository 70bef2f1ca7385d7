/* idempotency.c - see idempotency.h. */
#include "server/upstream/idempotency.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/alloc.h"
#include "common/base/map.h"

enum { ENTRY_COST = 256 }; /* what an entry takes beside its key and its frames */

struct idempotency_entry {
    struct list_link link; /* in store->kept, once it has ended */
    struct list_link waiters;
    struct buf frames;
    uint64_t kept_until_us;
    bool ended;
    bool too_large; /* its frames are not kept */
    struct str key; /* lies in bytes */
    char bytes[];
};

struct idempotency {
    atomic_uint refs;
    pthread_mutex_t lock;
    struct map entries;
    struct list_link kept; /* those that have ended, oldest first */
    size_t bytes;          /* of those */
    size_t growing;        /* bytes of the frames of the others */
    size_t max_bytes;
    uint64_t max_age_us;
};

struct idempotency *idempotency_create(uint64_t max_age_us, size_t max_bytes)
{
    struct idempotency *store = xcalloc(1, sizeof *store);
    atomic_init(&store->refs, 1);
    pthread_mutex_init(&store->lock, NULL);
    list_init(&store->kept);
    store->max_bytes = max_bytes;
    store->max_age_us = max_age_us;
    return store;
}

struct idempotency *idempotency_ref(struct idempotency *store)
{
    atomic_fetch_add_explicit(&store->refs, 1, memory_order_relaxed);
    return store;
}

static size_t cost(const struct idempotency_entry *entry)
{
    return ENTRY_COST + entry->key.len + entry->frames.len;
}

static void drop(struct idempotency *store, struct idempotency_entry *entry)
{
    map_remove(&store->entries, entry->key);
    if (list_is_linked(&entry->link))
        store->bytes -= cost(entry);
    list_remove(&entry->link);
    buf_fini(&entry->frames);
    free(entry);
}

void idempotency_unref(struct idempotency *store)
{
    if (!store || atomic_fetch_sub_explicit(&store->refs, 1, memory_order_acq_rel) != 1)
        return;
    LIST_EACH(link, &store->kept)
    drop(store, CONTAINER_OF(link, struct idempotency_entry, link));
    map_fini(&store->entries);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

void idempotency_waiter_free(struct idempotency_waiter *waiter)
{
    buf_fini(&waiter->frames);
    free(waiter);
}

static void write_key(struct buf *out, struct str user, struct str key)
{
    buf_appendf(out, "%zu ", user.len);
    buf_append(out, user);
    buf_append(out, key);
}

static void drop_old(struct idempotency *store, uint64_t now_us)
{
    LIST_EACH(link, &store->kept)
    {
        struct idempotency_entry *entry = CONTAINER_OF(link, struct idempotency_entry, link);
        if (entry->kept_until_us > now_us && store->bytes <= store->max_bytes)
            return;
        drop(store, entry);
    }
}

static enum idempotency_begun begin(struct idempotency *store, struct str key, uint64_t now_us,
                                    struct idempotency_waiter *waiter, struct idempotency_entry **out_entry,
                                    struct buf *out_frames)
{
    drop_old(store, now_us);
    struct idempotency_entry *entry = map_get(&store->entries, key);
    if (entry && entry->ended && entry->kept_until_us <= now_us) { /* its answer took longer than those before it */
        drop(store, entry);
        entry = NULL;
    }
    if (entry && entry->ended) {
        buf_append(out_frames, buf_str(&entry->frames));
        return IDEMPOTENCY_KNOWN;
    }
    if (entry) {
        list_append(&entry->waiters, &waiter->link);
        return IDEMPOTENCY_JOINS;
    }
    entry = xcalloc(1, sizeof *entry + key.len);
    entry->key = str_pack(&(char *){entry->bytes}, key);
    entry->kept_until_us = now_us + store->max_age_us;
    list_init(&entry->waiters);
    map_put(&store->entries, entry->key, entry);
    *out_entry = entry;
    return IDEMPOTENCY_FIRST;
}

enum idempotency_begun idempotency_begin(struct idempotency *store, struct str user, struct str key, uint64_t now_us,
                                         struct idempotency_waiter *waiter, struct idempotency_entry **out_entry,
                                         struct buf *out_frames)
{
    struct buf full = {0};
    write_key(&full, user, key);
    pthread_mutex_lock(&store->lock);
    enum idempotency_begun begun = begin(store, buf_str(&full), now_us, waiter, out_entry, out_frames);
    pthread_mutex_unlock(&store->lock);
    buf_fini(&full);
    return begun;
}

void idempotency_leave(struct idempotency *store, struct str user, struct str key, struct session_id session,
                       uint64_t sequence)
{
    struct buf full = {0};
    write_key(&full, user, key);
    pthread_mutex_lock(&store->lock);
    struct idempotency_entry *entry = map_get(&store->entries, buf_str(&full));
    if (entry)
        LIST_EACH(link, &entry->waiters)
        {
            struct idempotency_waiter *waiter = CONTAINER_OF(link, struct idempotency_waiter, link);
            const struct session_id *id = &waiter->session;
            if (waiter->sequence != sequence || id->generation != session.generation || id->slot != session.slot ||
                id->worker != session.worker)
                continue;
            list_remove(link);
            idempotency_waiter_free(waiter);
        }
    pthread_mutex_unlock(&store->lock);
    buf_fini(&full);
}

void idempotency_add(struct idempotency *store, struct idempotency_entry *entry, bool binary, struct str frame)
{
    uint64_t len = frame.len;
    pthread_mutex_lock(&store->lock);
    store->growing -= entry->frames.len;
    entry->too_large |= cost(entry) + frame.len > store->max_bytes / 4;
    entry->too_large |= store->growing + entry->frames.len + frame.len > store->max_bytes;
    if (entry->too_large) {
        buf_fini(&entry->frames);
        entry->frames = (struct buf){0};
    } else {
        buf_append_char(&entry->frames, binary ? 'b' : 't');
        buf_append(&entry->frames, str_from((const char *)&len, sizeof len));
        buf_append(&entry->frames, frame);
    }
    store->growing += entry->frames.len;
    pthread_mutex_unlock(&store->lock);
}

bool idempotency_next_frame(struct str *frames, bool *out_binary, struct str *out_frame)
{
    uint64_t len;
    if (!frames->len)
        return false;
    *out_binary = frames->ptr[0] == 'b';
    memcpy(&len, frames->ptr + 1, sizeof len);
    *out_frame = str_from(frames->ptr + 1 + sizeof len, (size_t)len);
    *frames = str_skip(*frames, 1 + sizeof len + (size_t)len);
    return true;
}

static void answer_waiters(struct idempotency_entry *entry, enum idempotency_outcome outcome, enum err err,
                           const char *text)
{
    for (struct list_link *link; (link = list_take_first(&entry->waiters));) {
        struct idempotency_waiter *waiter = CONTAINER_OF(link, struct idempotency_waiter, link);
        waiter->outcome = outcome;
        waiter->err = err;
        waiter->text = text;
        if (outcome == IDEMPOTENCY_ANSWERED)
            buf_append(&waiter->frames, buf_str(&entry->frames));
        mailbox_post(waiter->reply_to, &waiter->mail);
    }
}

void idempotency_end(struct idempotency *store, struct idempotency_entry *entry, enum idempotency_outcome outcome,
                     enum err err, const char *text)
{
    pthread_mutex_lock(&store->lock);
    if (entry->too_large && outcome == IDEMPOTENCY_ANSWERED)
        outcome = IDEMPOTENCY_NO_ANSWER;
    answer_waiters(entry, outcome, err, text);
    store->growing -= entry->frames.len;
    if (outcome == IDEMPOTENCY_ANSWERED) {
        entry->ended = true;
        list_append(&store->kept, &entry->link);
        store->bytes += cost(entry);
        drop_old(store, 0); /* only for room */
    } else {
        drop(store, entry);
    }
    pthread_mutex_unlock(&store->lock);
}
