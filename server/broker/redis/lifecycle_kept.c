/* lifecycle_kept.c - see lifecycle_kept.h. */
#include "server/broker/redis/lifecycle_kept.h"

#include <stdio.h>

#include "common/base/alloc.h"

struct kept_entry {
    struct str id;
    size_t end; /* in kept_batch.json */
};

/* Events that follow each other in the stream. */
struct kept_batch {
    struct list_link link;
    struct lifecycle_place before; /* the event before the first one */
    size_t size;
    size_t count;
    const char *json; /* of all events, joined by commas */
    struct kept_entry events[LIFECYCLE_BATCH_MAX];
    char bytes[];
};

static void set_place(struct lifecycle_place *place, struct str id, uint64_t number)
{
    snprintf(place->id, sizeof place->id, "%.*s", STR_ARG(id));
    place->number = number;
}

static struct kept_batch *batch_of(struct list_link *link)
{
    return CONTAINER_OF(link, struct kept_batch, link);
}

static void drop(struct lifecycle_kept *kept, struct kept_batch *batch)
{
    list_remove(&batch->link);
    kept->bytes -= batch->size;
    free(batch);
}

static void drop_all(struct lifecycle_kept *kept)
{
    LIST_EACH(link, &kept->batches)
    drop(kept, batch_of(link));
}

void lifecycle_kept_init(struct lifecycle_kept *kept)
{
    *kept = (struct lifecycle_kept){0};
    list_init(&kept->batches);
}

void lifecycle_kept_forget(struct lifecycle_kept *kept)
{
    drop_all(kept);
    lifecycle_kept_init(kept);
}

bool lifecycle_kept_is_reader(struct lifecycle_kept *kept, uint64_t now_us)
{
    struct lifecycle_place sent = kept->sent;
    bool is_unsaved = kept->is_unsaved;
    if (kept->reader_until_us && now_us >= kept->reader_until_us) {
        lifecycle_kept_forget(kept);
        if (is_unsaved) /* Redis may have been away: without this all since then would be sent again */
            lifecycle_kept_set_sent(kept, sent.id, sent.number);
    }
    return kept->reader_until_us > 0;
}

void lifecycle_kept_set_sent(struct lifecycle_kept *kept, const char *id, uint64_t number)
{
    set_place(&kept->sent, str_from_cstr(id), number);
    kept->is_unsaved = true;
}

/* ---- writing ---- */

static size_t json_bytes(const struct lifecycle_write *write)
{
    size_t bytes = 0;
    for (size_t i = 0; i < write->count; i++)
        bytes += write->events[i]->json.len + 1;
    return bytes;
}

/* Copies the events that were told. */
static struct kept_batch *make_batch(const struct lifecycle_write *write, size_t size, struct str ids)
{
    struct kept_batch *batch = xmalloc(size);
    char *at = batch->bytes;
    batch->size = size;
    batch->count = 0;
    ids = str_pack(&at, ids);
    batch->json = at;
    for (size_t i = 0; i < write->count; i++) {
        struct str json = write->events[i]->json;
        struct str id = json.len ? str_split(&ids, ' ') : STR("-");
        if (id.len < sizeof "0-1" - 1)
            continue;
        if (batch->count)
            *at++ = ',';
        str_pack(&at, json);
        batch->events[batch->count++] = (struct kept_entry){.id = id, .end = (size_t)(at - batch->json)};
    }
    return batch;
}

void lifecycle_kept_add(struct lifecycle_kept *kept, const struct lifecycle_write *write, uint64_t before_number,
                        struct str before_id, struct str ids)
{
    size_t size = sizeof(struct kept_batch) + ids.len + json_bytes(write);
    if (before_number < kept->last.number) /* Redis has gone back to an older state */
        drop_all(kept);
    struct kept_batch *batch = make_batch(write, size, ids);
    if (!batch->count) {
        free(batch);
        return;
    }
    kept->others_write = before_number != kept->last.number || !str_eq_cstr(before_id, kept->last.id);
    set_place(&kept->last, batch->events[batch->count - 1].id, before_number + batch->count);
    if (kept->bytes + size > LIFECYCLE_KEPT_BYTES) {
        free(batch);
        return;
    }
    set_place(&batch->before, before_id, before_number);
    list_append(&kept->batches, &batch->link);
    kept->bytes += size;
}

/* ---- reading ---- */

/* The place in the batch of the event that follows; batch->count: none does. */
static size_t next_in(const struct kept_batch *batch, const struct lifecycle_place *sent)
{
    if (sent->number < batch->before.number || sent->number >= batch->before.number + batch->count)
        return batch->count;
    size_t index = (size_t)(sent->number - batch->before.number);
    struct str id = index ? batch->events[index - 1].id : str_from_cstr(batch->before.id);
    return str_eq_cstr(id, sent->id) ? index : batch->count;
}

/* Adds the events from that one on, up to the limit. */
static void give(const struct kept_batch *batch, size_t from, struct lifecycle_read *read, struct lifecycle_place *sent)
{
    size_t end = from + (read->limit - read->count);
    if (end > batch->count)
        end = batch->count;
    size_t begin = from ? batch->events[from - 1].end + 1 : 0;
    if (!read->count)
        read->number = sent->number + 1;
    else
        buf_append_char(&read->events, ',');
    buf_append(&read->events, str_from(batch->json + begin, batch->events[end - 1].end - begin));
    read->count += end - from;
    set_place(sent, batch->events[end - 1].id, sent->number + (end - from));
}

bool lifecycle_kept_take(struct lifecycle_kept *kept, struct lifecycle_read *read)
{
    struct lifecycle_place sent = kept->sent;
    if (!sent.id[0])
        return false;
    LIST_EACH(link, &kept->batches)
    {
        struct kept_batch *batch = batch_of(link);
        if (batch->before.number + batch->count <= kept->sent.number) {
            drop(kept, batch);
            continue;
        }
        size_t from = next_in(batch, &sent);
        if (from == batch->count || read->count == read->limit)
            break;
        give(batch, from, read, &sent);
    }
    if (!read->count)
        return false;
    read->is_reader = true;
    read->last_number = kept->sent.number;
    read->entries = kept->others_write ? read->limit : read->count; /* theirs may follow */
    memcpy(read->last, sent.id, sizeof read->last);
    read->done_number = sent.number;
    return true;
}
