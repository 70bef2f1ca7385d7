/* lifecycle_batch.c - see lifecycle_batch.h.
 *
 * A batch may have several events of a session. Redis needs to know what they come to: Lua is slow, and takes time for
 * each byte of an argument, as it hashes all texts. So the node sums up.
 *
 * It has a table of its own for that. With common/base/map.h an event takes 950 instructions here, with this one 290
 * (callgrind). The difference is a fifth of all that the node does for the event. */
#include "server/broker/redis/lifecycle_batch.h"

enum { BUCKETS = 2 * LIFECYCLE_BATCH_MAX, FIELD_PREFIX_LEN = 2, NUMBER_MAX = 20 };

/* What the batch says of one session. */
struct account {
    const struct lifecycle_event *open; /* its last `open`; NULL: none */
    const struct lifecycle_event *last; /* its last event */
    struct account *next;               /* in the bucket */
};

struct accounts {
    struct account *buckets[BUCKETS];
    struct account items[LIFECYCLE_BATCH_MAX]; /* in the order of their first events */
    size_t count;
};

/* FNV-1a of the end, where UUIDs differ most. Keys are made by the server, so nobody can choose colliding ones. */
static size_t bucket_of(struct str key)
{
    uint32_t hash = 2166136261;
    for (size_t i = key.len > 8 ? key.len - 8 : 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.ptr[i]) * 16777619;
    return hash % BUCKETS;
}

static struct account *account_of(struct accounts *accounts, struct str key)
{
    struct account **bucket = &accounts->buckets[bucket_of(key)];
    for (struct account *account = *bucket; account; account = account->next)
        if (str_eq(account->last->key, key))
            return account;
    struct account *account = &accounts->items[accounts->count++];
    account->open = NULL;
    account->next = *bucket;
    return *bucket = account;
}

static bool is_of_session(const struct lifecycle_event *event)
{
    return event->action == LIFECYCLE_OPEN || event->action == LIFECYCLE_STEP || event->action == LIFECYCLE_CLOSE;
}

static void sum_up(const struct lifecycle_write *write, struct accounts *out)
{
    memset(out->buckets, 0, sizeof out->buckets);
    out->count = 0;
    for (size_t i = 0; i < write->count; i++) {
        const struct lifecycle_event *event = write->events[i];
        if (!is_of_session(event))
            continue;
        struct account *account = account_of(out, event->key);
        account->last = event;
        if (event->action == LIFECYCLE_OPEN)
            account->open = event;
    }
}

/* The texts of all arguments lie in one buffer, which must not move. */
static void reserve(const struct accounts *accounts, struct buf *texts)
{
    size_t room = 3 * NUMBER_MAX;
    for (size_t i = 0; i < accounts->count; i++) {
        const struct account *account = &accounts->items[i];
        room += FIELD_PREFIX_LEN + account->last->key.len + 2 * (NUMBER_MAX + 1);
        room += account->open ? account->open->about.len : 0;
    }
    buf_reserve(texts, room);
}

static struct str since(const struct buf *texts, size_t begin)
{
    return str_skip(buf_str(texts), begin);
}

static struct str add_number(struct buf *texts, uint64_t number)
{
    size_t begin = texts->len;
    buf_append_u64(texts, number);
    return since(texts, begin);
}

static struct str add_field(struct buf *texts, struct str key)
{
    size_t begin = texts->len;
    buf_append_lit(texts, "s:");
    buf_append(texts, key);
    return since(texts, begin);
}

static struct str add_session(struct buf *texts, const struct account *account)
{
    size_t begin = texts->len;
    buf_append_u64(texts, account->last->sequence);
    buf_append_char(texts, ' ');
    buf_append_u64(texts, account->open->opened_ms);
    buf_append_char(texts, ' ');
    buf_append(texts, account->open->about);
    return since(texts, begin);
}

enum outcome { ENDED, STEPPED, OPEN, OUTCOMES };

static enum outcome outcome_of(const struct account *account)
{
    if (account->last->action == LIFECYCLE_CLOSE)
        return ENDED;
    return account->open ? OPEN : STEPPED;
}

static size_t add_sessions(const struct accounts *accounts, enum outcome wanted, struct buf *texts, struct str *out)
{
    size_t count = 0;
    for (size_t i = 0; i < accounts->count; i++) {
        const struct account *account = &accounts->items[i];
        if (outcome_of(account) != wanted)
            continue;
        out[count++] = add_field(texts, account->last->key);
        if (wanted == STEPPED)
            out[count++] = add_number(texts, account->last->sequence);
        else if (wanted == OPEN)
            out[count++] = add_session(texts, account);
    }
    return count;
}

/* An event of a channel goes there even if it is not told, as the script counts the nodes of the channel. */
static size_t add_event(const struct lifecycle_event *event, struct str *out)
{
    bool is_of_channel = event->action == LIFECYCLE_OCCUPY || event->action == LIFECYCLE_VACATE;
    size_t count = 0;
    if (!event->json.len && !is_of_channel)
        return 0;
    out[count++] = str_from_cstr(lifecycle_type_text(event->type));
    out[count++] = event->json;
    if (is_of_channel)
        out[count++] = event->key;
    if (event->action == LIFECYCLE_OCCUPY)
        out[count++] = event->about;
    return count;
}

size_t lifecycle_batch_arguments(const struct lifecycle_write *write, struct buf *texts, struct str *out)
{
    struct accounts accounts;
    size_t count = OUTCOMES;
    sum_up(write, &accounts);
    reserve(&accounts, texts);
    for (int outcome = 0; outcome < OUTCOMES; outcome++) {
        size_t added = add_sessions(&accounts, (enum outcome)outcome, texts, out + count);
        out[outcome] = add_number(texts, added);
        count += added;
    }
    for (size_t i = 0; i < write->count; i++)
        count += add_event(write->events[i], out + count);
    return count;
}
