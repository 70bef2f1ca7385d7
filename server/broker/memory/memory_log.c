/* memory_log.c - see memory_log.h. */
#include "server/broker/memory/memory_log.h"

#include "common/base/alloc.h"

struct kept_event {
    struct memory_part part; /* of memory_logs.shares */
    struct memory_log *log;
    uint32_t len;
    uint32_t exclude_len;
    char bytes[]; /* its JSON, then the id of its excluded session */
};

enum { ELSEWHERE_BYTES = 24 }; /* what an event costs besides its struct, about: its slot and malloc's header */

void memory_logs_init(struct memory_logs *logs, size_t bytes_max, size_t share)
{
    *logs = (struct memory_logs){.bytes_max = bytes_max};
    list_init(&logs->used);
    memory_shares_init(&logs->shares, share);
}

void memory_logs_fini(struct memory_logs *logs)
{
    memory_shares_fini(&logs->shares);
    buf_fini(&logs->encoded);
}

static size_t cost(const struct kept_event *kept)
{
    return sizeof *kept + kept->len + kept->exclude_len + ELSEWHERE_BYTES;
}

static struct str json_of(const struct kept_event *kept)
{
    return str_from(kept->bytes, kept->len);
}

static struct str exclude_of(const struct kept_event *kept)
{
    return str_from(kept->bytes + kept->len, kept->exclude_len);
}

static struct kept_event **slot(const struct memory_log *log, size_t index)
{
    return ring_at(&log->events, index, sizeof(struct kept_event *));
}

static void drop_first(struct memory_logs *logs, struct memory_log *log)
{
    struct kept_event *oldest = *slot(log, 0);
    logs->bytes -= cost(oldest);
    memory_shares_remove(&logs->shares, &oldest->part);
    free(oldest);
    ring_drop(&log->events);
    log->first++;
    log->before_id[0] = '\0';
    if (log->events.count)
        return;
    ring_fini(&log->events);
    list_remove(&log->link);
}

void memory_log_clear(struct memory_logs *logs, struct memory_log *log)
{
    while (log->events.count)
        drop_first(logs, log);
}

static bool is_over(const struct memory_log *log, uint64_t now_us)
{
    return log->ends_us && log->ends_us <= now_us;
}

/* Frees the events of a channel that have outlived their ttl. The id of the last one stays: a client that comes back
 * with it has missed nothing. */
static void age(struct memory_logs *logs, struct memory_log *log)
{
    char last_id[POSITION_ID_MAX + 1];
    if (log->events.count == 0)
        return;
    position_keep_id(last_id, event_encoded_id(json_of(*slot(log, log->events.count - 1))));
    memory_log_clear(logs, log);
    memcpy(log->before_id, last_id, sizeof last_id);
}

void memory_logs_expire(struct memory_logs *logs, uint64_t now_us)
{
    while (!list_is_empty(&logs->used)) {
        struct memory_log *silent = CONTAINER_OF(logs->used.next, struct memory_log, link);
        if (is_over(silent, now_us))
            age(logs, silent);
        else if (logs->bytes > logs->bytes_max)
            drop_first(logs, silent);
        else
            return;
    }
}

/* Frees the user's oldest event, and before it all older events of the same channel. */
static void keep_share(struct memory_logs *logs, const struct kept_event *newest)
{
    for (struct memory_part *part; (part = memory_shares_over(&logs->shares, &newest->part));) {
        if (part == &newest->part)
            return;
        drop_first(logs, CONTAINER_OF(part, struct kept_event, part)->log);
    }
}

static struct kept_event *keep(struct memory_logs *logs, struct memory_log *log, const struct event *event)
{
    buf_clear(&logs->encoded);
    event_encode(&logs->encoded, event);
    struct kept_event *kept = xmalloc(sizeof *kept + logs->encoded.len + event->exclude.len);
    *kept = (struct kept_event){
        .log = log, .len = (uint32_t)logs->encoded.len, .exclude_len = (uint32_t)event->exclude.len};
    memcpy(kept->bytes, logs->encoded.ptr, kept->len);
    if (event->exclude.len)
        memcpy(kept->bytes + kept->len, event->exclude.ptr, event->exclude.len);
    logs->bytes += cost(kept);
    return kept;
}

void memory_log_append(struct memory_logs *logs, struct memory_log *log, const struct event *event, uint64_t user,
                       const struct history_policy *history, uint64_t now_us)
{
    if (is_over(log, now_us))
        age(logs, log);
    struct kept_event *kept = keep(logs, log, event);
    if (log->events.count == 0)
        log->first = event->offset;
    *(struct kept_event **)ring_append(&log->events, sizeof(struct kept_event *)) = kept;
    memory_shares_put(&logs->shares, &kept->part, user, cost(kept));
    log->ends_us = history->ttl_ms ? now_us + history->ttl_ms * 1000 : 0;
    list_remove(&log->link);
    list_append(&logs->used, &log->link);
    while (log->events.count > history->size)
        drop_first(logs, log);
    keep_share(logs, kept);
    memory_logs_expire(logs, now_us);
}

/* False when the page is full. */
static bool add(const struct memory_log *log, size_t index, struct history_read *read)
{
    const struct kept_event *kept = *slot(log, index);
    if (read->count >= read->limit || (read->count && read->text.len + kept->len > read->max_bytes)) {
        read->more = true;
        return false;
    }
    history_read_add_json(read, log->first + index, exclude_of(kept), json_of(kept));
    return true;
}

void memory_log_read(struct memory_logs *logs, struct memory_log *log, struct history_read *read, uint64_t now_us)
{
    if (is_over(log, now_us))
        age(logs, log);
    uint64_t end = log->first + log->events.count; /* one past the newest */
    if (!read->backwards) {
        uint64_t next = read->after >= log->first ? read->after + 1 : log->first;
        while (next > read->after && next < end && add(log, next - log->first, read))
            next++;
        if (read->count && read->events[0].offset == log->first)
            memcpy(read->before_id, log->before_id, sizeof log->before_id);
        return;
    }
    uint64_t next = read->before && read->before < end ? read->before : end;
    while (log->events.count && next > log->first && add(log, next - 1 - log->first, read))
        next--;
    history_read_reverse(read);
}
