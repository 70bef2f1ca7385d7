/* store_streams.c - streams, as Redis 7 answers them. Entries lie in their order. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/sim/store_private.h"

struct stream_id {
    uint64_t major, minor;
};

static bool id_is_less(struct stream_id a, struct stream_id b)
{
    return a.major != b.major ? a.major < b.major : a.minor < b.minor;
}

/* "-", "+", "5-0", "5" (rest stands for the second part) and "(" before one. */
static bool to_id(struct str text, uint64_t rest, struct stream_id *out)
{
    if (str_eq_cstr(text, "-") || str_eq_cstr(text, "+")) {
        *out = text.ptr[0] == '-' ? (struct stream_id){0, 0} : (struct stream_id){UINT64_MAX, UINT64_MAX};
        return true;
    }
    bool exclusive = text.len && text.ptr[0] == '(';
    struct str left = str_from(text.ptr + exclusive, text.len - exclusive);
    out->minor = rest;
    struct str major = str_split(&left, '-');
    if (!str_to_u64(major, &out->major) || (left.ptr && !str_to_u64(left, &out->minor)))
        return false;
    if (exclusive && rest == 0 && ++out->minor == 0)
        out->major++;
    if (exclusive && rest && out->minor-- == 0)
        out->major--;
    return true;
}

static struct stream_id id_of(const struct item *item)
{
    return (struct stream_id){item->major, item->minor};
}

static void trim(struct key *key, uint64_t max)
{
    while (key->count > max)
        store_remove(key, 0);
}

/* XADD key [NOMKSTREAM] [MAXLEN [=|~] n] id field value ...: about is exact here, which Redis may be too. */
static void xadd(struct store_call *call)
{
    struct key *key;
    uint64_t max = UINT64_MAX;
    size_t at = 2;
    struct stream_id id;
    bool make = !store_is(call->argv[at], "NOMKSTREAM");
    at += !make;
    if (store_is(call->argv[at], "MAXLEN")) {
        at += str_eq_cstr(call->argv[at + 1], "~") || str_eq_cstr(call->argv[at + 1], "=") ? 2 : 1;
        if (!str_to_u64(call->argv[at++], &max)) {
            resp_error(call->out, STORE_NOT_A_NUMBER);
            return;
        }
    }
    bool numbered = !str_eq_cstr(call->argv[at], "*");
    if (numbered && (str_starts_with(call->argv[at], STR("(")) || !to_id(call->argv[at], 0, &id))) {
        resp_error(call->out, "ERR Invalid stream ID specified as stream command argument");
        return;
    }
    if (numbered && id.major == 0 && id.minor == 0) {
        resp_error(call->out, "ERR The ID specified in XADD must be greater than 0-0");
        return;
    }
    if (!store_open(call, KEY_STREAM, &key))
        return;
    if (!key && !make) {
        resp_nothing(call->out);
        return;
    }
    struct stream_id last = key ? (struct stream_id){key->last_major, key->last_minor} : (struct stream_id){0, 0};
    if (!numbered)
        id = call->now_ms > last.major ? (struct stream_id){call->now_ms, 0}
                                       : (struct stream_id){last.major, last.minor + 1};
    if (!id_is_less(last, id)) {
        resp_error(call->out, "ERR The ID specified in XADD is equal or smaller than the target stream top item");
        return;
    }
    if (!key)
        key = store_make(call->store, call->argv[1], KEY_STREAM);
    struct buf fields = {0};
    resp_array(&fields, call->argc - at - 1);
    for (size_t i = at + 1; i < call->argc; i++)
        resp_text(&fields, call->argv[i]);
    struct item *item = store_insert(key, key->count);
    item->name = store_copy_text(buf_str(&fields));
    buf_fini(&fields);
    item->major = key->last_major = id.major;
    item->minor = key->last_minor = id.minor;
    trim(key, max);
    store_answer_id(call->out, id.major, id.minor);
}

void store_answer_id(struct buf *out, uint64_t major, uint64_t minor)
{
    char text[48];
    resp_text(out, str_from(text, (size_t)snprintf(text, sizeof text, "%" PRIu64 "-%" PRIu64, major, minor)));
}

void store_answer_entry(struct buf *out, const struct item *item)
{
    resp_array(out, 2);
    store_answer_id(out, item->major, item->minor);
    buf_append(out, item->name);
}

/* XRANGE key low high [COUNT n] and XREVRANGE key high low [COUNT n]. */
static void xrange(struct store_call *call)
{
    struct key *key;
    struct stream_id low, high;
    bool reverse = store_is(call->argv[0], "XREVRANGE");
    uint64_t limit = UINT64_MAX;
    if (!to_id(call->argv[reverse ? 3 : 2], 0, &low) || !to_id(call->argv[reverse ? 2 : 3], UINT64_MAX, &high) ||
        (call->argc == 6 && !str_to_u64(call->argv[5], &limit))) {
        resp_error(call->out, "ERR Invalid stream ID specified as stream command argument");
        return;
    }
    if (!store_open(call, KEY_STREAM, &key))
        return;
    struct buf rows = {0};
    size_t count = 0;
    for (size_t i = 0; key && i < key->count && count < limit; i++) {
        const struct item *item = &key->items[reverse ? key->count - 1 - i : i];
        if (id_is_less(id_of(item), low) || id_is_less(high, id_of(item)))
            continue;
        store_answer_entry(&rows, item);
        count++;
    }
    resp_array(call->out, count);
    buf_append(call->out, buf_str(&rows));
    buf_fini(&rows);
}

/* XREAD COUNT n STREAMS key id: what comes after it. Waiting (BLOCK) is redis.c's. */
static void xread(struct store_call *call)
{
    struct stream_id from;
    uint64_t limit;
    const struct key *key = store_live(call->store, call->argv[4], call->now_ms);
    if (!to_id(call->argv[5], 0, &from) || !str_to_u64(call->argv[2], &limit)) {
        resp_error(call->out, "ERR Invalid stream ID specified as stream command argument");
        return;
    }
    struct buf rows = {0};
    size_t count = 0;
    for (size_t i = 0; key && i < key->count && count < limit; i++)
        if (id_is_less(from, id_of(&key->items[i]))) {
            store_answer_entry(&rows, &key->items[i]);
            count++;
        }
    if (count) {
        resp_array(call->out, 1);
        resp_array(call->out, 2);
        resp_text(call->out, call->argv[4]);
        resp_array(call->out, count);
        buf_append(call->out, buf_str(&rows));
    } else {
        buf_append_lit(call->out, "*-1\r\n");
    }
    buf_fini(&rows);
}

/* The stream stays when it is empty. */
static void xdel(struct store_call *call)
{
    struct key *key;
    int64_t count = 0;
    if (!store_open(call, KEY_STREAM, &key))
        return;
    for (size_t i = 2; key && i < call->argc; i++) {
        struct stream_id id;
        for (size_t k = 0; to_id(call->argv[i], 0, &id) && k < key->count; k++)
            if (key->items[k].major == id.major && key->items[k].minor == id.minor) {
                store_remove(key, k);
                count++;
                break;
            }
    }
    resp_number(call->out, count);
}

static const struct store_command stream_rows[] = {
    {"XADD", 5, STORE_WRITES | STORE_GROWS, xadd},
    {"XLEN", 2, 0, store_count_items},
    {"XRANGE", 4, 0, xrange},
    {"XREVRANGE", 4, 0, xrange},
    {"XREAD", 6, 0, xread},
    {"XDEL", 3, STORE_WRITES, xdel},
};

const struct store_table store_stream = {stream_rows, sizeof stream_rows / sizeof *stream_rows};
