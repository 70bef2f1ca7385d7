/* store_groups.c - the consumer group of a stream, as Redis 7 answers about it: the entries that each consumer has
 * read and not acknowledged. A stream has one group at most. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "tests/sim/store_private.h"

enum { NAME_MAX_LEN = 64, CONSUMERS_MAX = 64 };

struct pending {
    uint64_t major, minor;
    size_t consumer;
};

struct stream_group {
    char name[NAME_MAX_LEN];
    uint64_t major, minor; /* of the last entry that was given out */
    char consumers[CONSUMERS_MAX][NAME_MAX_LEN];
    size_t consumer_count;
    struct pending *pending; /* in the order of their ids */
    size_t count, cap;
};

void store_free_group(struct stream_group *group)
{
    if (group)
        free(group->pending);
    free(group);
}

struct stream_group *store_copy_group(const struct stream_group *group)
{
    if (!group)
        return NULL;
    struct stream_group *copy = xmalloc(sizeof *copy);
    *copy = *group;
    copy->cap = group->count;
    copy->pending = xmalloc((group->count + 1) * sizeof *copy->pending);
    if (group->count)
        memcpy(copy->pending, group->pending, group->count * sizeof *copy->pending);
    return copy;
}

size_t store_count_pending(const struct key *key)
{
    return key->group ? key->group->count : 0;
}

/* The key argv[at] and its group argv[at + 1]; answers if there is none. */
static struct key *open_group(struct store_call *call, size_t at)
{
    struct key *key = store_live(call->store, call->argv[at], call->now_ms);
    if (key && key->type == KEY_STREAM && key->group && str_eq_cstr(call->argv[at + 1], key->group->name))
        return key;
    resp_error(call->out, "NOGROUP No such key or consumer group");
    return NULL;
}

static size_t consumer_of(struct stream_group *group, struct str name)
{
    size_t at = 0;
    while (at < group->consumer_count && !str_eq_cstr(name, group->consumers[at]))
        at++;
    if (at == group->consumer_count && at < CONSUMERS_MAX)
        snprintf(group->consumers[group->consumer_count++], NAME_MAX_LEN, "%.*s", STR_ARG(name));
    return at;
}

static void drop_pending(struct stream_group *group, size_t at)
{
    memmove(group->pending + at, group->pending + at + 1, (--group->count - at) * sizeof *group->pending);
}

static const struct item *find_entry(const struct key *key, uint64_t major, uint64_t minor)
{
    for (size_t i = 0; i < key->count; i++)
        if (key->items[i].major == major && key->items[i].minor == minor)
            return &key->items[i];
    return NULL;
}

/* XGROUP CREATE key group id [MKSTREAM]: from the first entry on. */
static void create(struct store_call *call)
{
    struct key *key = store_live(call->store, call->argv[2], call->now_ms);
    if (key && key->group) {
        resp_error(call->out, "BUSYGROUP Consumer Group name already exists");
        return;
    }
    if (!key)
        key = store_make(call->store, call->argv[2], KEY_STREAM);
    key->group = xcalloc(1, sizeof *key->group);
    snprintf(key->group->name, NAME_MAX_LEN, "%.*s", STR_ARG(call->argv[3]));
    resp_status(call->out, "OK");
}

/* XGROUP DELCONSUMER key group consumer. */
static void delete_consumer(struct store_call *call)
{
    if (!store_live(call->store, call->argv[2], call->now_ms)) {
        resp_error(call->out, "ERR The XGROUP subcommand requires the key to exist");
        return;
    }
    struct key *key = open_group(call, 2);
    int64_t dropped = 0;
    if (!key)
        return;
    struct stream_group *group = key->group;
    size_t consumer = consumer_of(group, call->argv[4]); /* made, if need be */
    size_t last = --group->consumer_count;
    for (size_t i = group->count; i-- > 0;)
        if (group->pending[i].consumer == consumer) {
            drop_pending(group, i);
            dropped++;
        } else if (group->pending[i].consumer == last) {
            group->pending[i].consumer = consumer;
        }
    memmove(group->consumers[consumer], group->consumers[last], NAME_MAX_LEN);
    resp_number(call->out, dropped);
}

static void xgroup(struct store_call *call)
{
    if (store_is(call->argv[1], "CREATE"))
        create(call);
    else
        delete_consumer(call);
}

/* XREADGROUP GROUP group consumer COUNT n STREAMS key >. */
static void xreadgroup(struct store_call *call)
{
    struct str argv[] = {call->argv[7], call->argv[2]};
    struct store_call inner = *call;
    uint64_t limit;
    inner.argv = argv;
    struct key *key = open_group(&inner, 0);
    if (!key || !str_to_u64(call->argv[5], &limit))
        return;
    struct stream_group *group = key->group;
    struct buf rows = {0};
    size_t count = 0, consumer = consumer_of(group, call->argv[3]);
    for (size_t i = 0; i < key->count && count < limit; i++) {
        const struct item *item = &key->items[i];
        if (item->major < group->major || (item->major == group->major && item->minor <= group->minor))
            continue;
        if (group->count == group->cap) {
            group->cap = group->cap ? group->cap * 2 : 16;
            group->pending = xrealloc(group->pending, group->cap * sizeof *group->pending);
        }
        group->pending[group->count++] = (struct pending){item->major, item->minor, consumer};
        group->major = item->major;
        group->minor = item->minor;
        store_answer_entry(&rows, item);
        count++;
    }
    if (count) {
        resp_array(call->out, 1);
        resp_array(call->out, 2);
        resp_text(call->out, call->argv[7]);
        resp_array(call->out, count);
        buf_append(call->out, buf_str(&rows));
    } else {
        buf_append_lit(call->out, "*-1\r\n");
    }
    buf_fini(&rows);
}

/* XAUTOCLAIM key group consumer 0 start COUNT n: with the entries that have been deleted since, as a list of their own.
 */
static void xautoclaim(struct store_call *call)
{
    struct key *key = open_group(call, 1);
    uint64_t major, limit;
    struct str start = call->argv[5];
    if (!key || !str_to_u64(str_split(&start, '-'), &major) || !str_to_u64(call->argv[7], &limit))
        return;
    struct stream_group *group = key->group;
    uint64_t minor = 0;
    if (start.ptr)
        str_to_u64(start, &minor);
    struct buf rows = {0}, gone = {0};
    size_t count = 0, gone_count = 0, consumer = consumer_of(group, call->argv[3]), i = 0;
    while (i < group->count && count + gone_count < limit) {
        struct pending *pending = &group->pending[i];
        const struct item *item = find_entry(key, pending->major, pending->minor);
        if (pending->major < major || (pending->major == major && pending->minor < minor)) {
            i++;
        } else if (item) {
            pending->consumer = consumer;
            store_answer_entry(&rows, item);
            count++;
            i++;
        } else {
            store_answer_id(&gone, pending->major, pending->minor);
            gone_count++;
            drop_pending(group, i);
        }
    }
    resp_array(call->out, 3);
    store_answer_id(call->out, i < group->count ? group->pending[i].major : 0,
                    i < group->count ? group->pending[i].minor : 0);
    resp_array(call->out, count);
    buf_append(call->out, buf_str(&rows));
    resp_array(call->out, gone_count);
    buf_append(call->out, buf_str(&gone));
    buf_fini(&rows);
    buf_fini(&gone);
}

/* XACK key group id ... */
static void xack(struct store_call *call)
{
    struct key *key = store_live(call->store, call->argv[1], call->now_ms);
    int64_t count = 0;
    for (size_t i = 3; key && key->group && i < call->argc; i++) {
        uint64_t major, minor = 0;
        struct str id = call->argv[i];
        if (!str_to_u64(str_split(&id, '-'), &major) || (id.ptr && !str_to_u64(id, &minor)))
            continue;
        for (size_t k = 0; k < key->group->count; k++)
            if (key->group->pending[k].major == major && key->group->pending[k].minor == minor) {
                drop_pending(key->group, k);
                count++;
                break;
            }
    }
    resp_number(call->out, count);
}

/* XINFO CONSUMERS key group. */
static void xinfo(struct store_call *call)
{
    struct key *key = open_group(call, 2);
    if (!key)
        return;
    const struct stream_group *group = key->group;
    resp_array(call->out, group->consumer_count);
    for (size_t i = 0; i < group->consumer_count; i++) {
        int64_t pending = 0;
        for (size_t k = 0; k < group->count; k++)
            pending += group->pending[k].consumer == i;
        resp_array(call->out, 4);
        resp_text(call->out, STR("name"));
        resp_text(call->out, str_from_cstr(group->consumers[i]));
        resp_text(call->out, STR("pending"));
        resp_number(call->out, pending);
    }
}

static const struct store_command group_rows[] = {
    {"XGROUP", 5, STORE_WRITES, xgroup},
    {"XREADGROUP", 9, STORE_WRITES, xreadgroup},
    {"XAUTOCLAIM", 8, STORE_WRITES, xautoclaim},
    {"XACK", 4, STORE_WRITES, xack},
    {"XINFO", 4, 0, xinfo},
};

const struct store_table store_group = {group_rows, sizeof group_rows / sizeof *group_rows};
