/* store_commands.c - the commands of Redis that Carillon uses, as Redis 7 answers them (tests/integration compares). */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/store_private.h"

#define WRONG_TYPE   "WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_A_NUMBER "ERR value is not an integer or out of range"
#define SYNTAX       "ERR syntax error"

static bool is(struct str text, const char *word)
{
    return str_eq_nocase(text, str_from_cstr(word));
}

static bool to_number(struct str text, int64_t *out)
{
    uint64_t value;
    bool negative = text.len && text.ptr[0] == '-';
    if (!str_to_u64(str_from(text.ptr + negative, text.len - negative), &value) || value > INT64_MAX)
        return false;
    *out = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

static struct str number_text(double value, char out[40])
{
    if (isinf(value))
        return str_from(out, (size_t)snprintf(out, 40, "%s", value < 0 ? "-inf" : "inf"));
    return str_from(out, (size_t)snprintf(out, 40, "%.17g", value));
}

static bool to_double(struct str text, double *out)
{
    char copy[64], *end;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *out = strtod(copy, &end);
    return *end == '\0';
}

/* The key argv[1] of that type. *out NULL: there is none. False: it is of another type, and that is answered. */
static bool open_key(struct store_call *call, enum key_type type, struct key **out)
{
    *out = live_key(call->store, call->argv[1], call->now_ms);
    if (!*out || (*out)->type == type)
        return true;
    resp_error(call->out, WRONG_TYPE);
    return false;
}

static bool open_or_make(struct store_call *call, enum key_type type, struct key **out)
{
    if (!open_key(call, type, out))
        return false;
    if (!*out)
        *out = make_key(call->store, call->argv[1], type);
    return true;
}

static void drop_if_empty(struct store_call *call, const struct key *key)
{
    if (key->count == 0 && key->type != KEY_STREAM)
        drop_key(call->store, call->argv[1]);
}

static void set_value(struct item *item, struct str value)
{
    free_text(item->value);
    item->value = copy_text(value);
}

/* ---- strings and keys ---- */

static void get(struct store_call *call)
{
    struct key *key;
    if (!open_key(call, KEY_STRING, &key))
        return;
    if (key)
        resp_text(call->out, key->items[0].value);
    else
        resp_nothing(call->out);
}

static void set(struct store_call *call)
{
    uint64_t ttl_ms = 0;
    bool only_new = false;
    for (size_t i = 3; i < call->argc; i++) {
        if (is(call->argv[i], "NX"))
            only_new = true;
        else if (is(call->argv[i], "PX") && i + 1 < call->argc && str_to_u64(call->argv[i + 1], &ttl_ms) && ttl_ms)
            i++;
        else {
            resp_error(call->out, SYNTAX);
            return;
        }
    }
    if (only_new && live_key(call->store, call->argv[1], call->now_ms)) {
        resp_nothing(call->out);
        return;
    }
    drop_key(call->store, call->argv[1]);
    struct key *key = make_key(call->store, call->argv[1], KEY_STRING);
    key->ends_ms = ttl_ms ? call->now_ms + ttl_ms : 0;
    set_value(insert_item(key, 0), call->argv[2]);
    resp_status(call->out, "OK");
}

static void del(struct store_call *call)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argc; i++)
        count += live_key(call->store, call->argv[i], call->now_ms) && drop_key(call->store, call->argv[i]);
    resp_number(call->out, count);
}

static void exists(struct store_call *call)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argc; i++)
        count += live_key(call->store, call->argv[i], call->now_ms) != NULL;
    resp_number(call->out, count);
}

static void pexpire(struct store_call *call)
{
    struct key *key = live_key(call->store, call->argv[1], call->now_ms);
    int64_t ttl_ms;
    if (!to_number(call->argv[2], &ttl_ms)) {
        resp_error(call->out, NOT_A_NUMBER);
        return;
    }
    if (is(call->argv[0], "EXPIRE"))
        ttl_ms *= 1000;
    resp_number(call->out, key != NULL);
    if (key && ttl_ms <= 0)
        drop_key(call->store, call->argv[1]);
    else if (key)
        key->ends_ms = call->now_ms + (uint64_t)ttl_ms;
}

static void pttl(struct store_call *call)
{
    struct key *key = live_key(call->store, call->argv[1], call->now_ms);
    resp_number(call->out, !key ? -2 : !key->ends_ms ? -1 : (int64_t)(key->ends_ms - call->now_ms));
}

static void persist(struct store_call *call)
{
    struct key *key = live_key(call->store, call->argv[1], call->now_ms);
    resp_number(call->out, key && key->ends_ms);
    if (key)
        key->ends_ms = 0;
}

static void tell_time(struct store_call *call)
{
    char text[24];
    resp_array(call->out, 2);
    resp_text(call->out, str_from(text, (size_t)snprintf(text, sizeof text, "%" PRIu64, call->now_ms / 1000)));
    resp_text(call->out, str_from(text, (size_t)snprintf(text, sizeof text, "%" PRIu64, call->now_ms % 1000 * 1000)));
}

static void role(struct store_call *call)
{
    if (call->store->read_only) {
        resp_array(call->out, 5);
        resp_text(call->out, STR("slave"));
        resp_text(call->out, STR("192.0.2.7"));
        resp_number(call->out, 6379);
        resp_text(call->out, STR("connected"));
        resp_number(call->out, 0);
        return;
    }
    resp_array(call->out, 3);
    resp_text(call->out, STR("master"));
    resp_number(call->out, 0);
    resp_array(call->out, 0);
}

static void publish(struct store_call *call)
{
    resp_number(call->out, (int64_t)call->publish(call->argv[1], call->argv[2]));
}

/* ---- hashes ---- */

static void hget(struct store_call *call)
{
    struct key *key;
    if (!open_key(call, KEY_HASH, &key))
        return;
    bool many = is(call->argv[0], "HMGET");
    if (many)
        resp_array(call->out, call->argc - 2);
    for (size_t i = 2; i < call->argc && (many || i == 2); i++) {
        const struct item *item = find_item(key, call->argv[i]);
        if (item)
            resp_text(call->out, item->value);
        else
            resp_nothing(call->out);
    }
}

static void hgetall(struct store_call *call)
{
    struct key *key;
    if (!open_key(call, KEY_HASH, &key))
        return;
    const char *what = is(call->argv[0], "HKEYS") ? "k" : is(call->argv[0], "HVALS") ? "v" : "kv";
    resp_array(call->out, key ? key->count * strlen(what) : 0);
    for (size_t i = 0; key && i < key->count; i++) {
        if (what[0] == 'k')
            resp_text(call->out, key->items[i].name);
        if (what[0] == 'v' || what[1])
            resp_text(call->out, key->items[i].value);
    }
}

static struct item *make_field(struct key *key, struct str name, bool *out_new)
{
    struct item *item = find_item(key, name);
    *out_new = !item;
    if (!item) {
        item = insert_item(key, key->count);
        item->name = copy_text(name);
    }
    return item;
}

static void hset(struct store_call *call)
{
    struct key *key;
    if (call->argc % 2 != 0) {
        resp_error(call->out, "ERR wrong number of arguments for 'hset' command");
        return;
    }
    if (!open_or_make(call, KEY_HASH, &key))
        return;
    int64_t added = 0;
    for (size_t i = 2; i + 1 < call->argc; i += 2) {
        bool is_new;
        set_value(make_field(key, call->argv[i], &is_new), call->argv[i + 1]);
        added += is_new;
    }
    if (is(call->argv[0], "HMSET"))
        resp_status(call->out, "OK");
    else
        resp_number(call->out, added);
}

static void hsetnx(struct store_call *call)
{
    struct key *key;
    bool is_new;
    if (!open_or_make(call, KEY_HASH, &key))
        return;
    struct item *item = make_field(key, call->argv[2], &is_new);
    if (is_new)
        set_value(item, call->argv[3]);
    resp_number(call->out, is_new);
}

static void hincrby(struct store_call *call)
{
    struct key *key;
    int64_t by, value = 0;
    bool is_new;
    if (!to_number(call->argv[3], &by)) {
        resp_error(call->out, NOT_A_NUMBER);
        return;
    }
    if (!open_or_make(call, KEY_HASH, &key))
        return;
    struct item *item = make_field(key, call->argv[2], &is_new);
    if (!is_new && !to_number(item->value, &value)) {
        resp_error(call->out, "ERR hash value is not an integer");
        return;
    }
    char text[24];
    value += by;
    set_value(item, str_from(text, (size_t)snprintf(text, sizeof text, "%" PRId64, value)));
    resp_number(call->out, value);
}

/* HDEL, SREM and ZREM. */
static void remove_members(struct store_call *call, enum key_type type)
{
    struct key *key;
    int64_t count = 0;
    if (!open_key(call, type, &key))
        return;
    for (size_t i = 2; key && i < call->argc; i++) {
        struct item *item = find_item(key, call->argv[i]);
        if (!item)
            continue;
        remove_item(key, (size_t)(item - key->items));
        count++;
    }
    if (key)
        drop_if_empty(call, key);
    resp_number(call->out, count);
}

static void hdel(struct store_call *call)
{
    remove_members(call, KEY_HASH);
}

/* HLEN, SCARD, ZCARD and XLEN. */
static void count_items(struct store_call *call)
{
    struct key *key;
    char kind = (char)(call->argv[0].ptr[0] | 0x20);
    if (open_key(call, kind == 'h' ? KEY_HASH : kind == 's' ? KEY_SET : kind == 'z' ? KEY_ZSET : KEY_STREAM, &key))
        resp_number(call->out, key ? (int64_t)key->count : 0);
}

static void hexists(struct store_call *call)
{
    struct key *key;
    if (open_key(call, is(call->argv[0], "HEXISTS") ? KEY_HASH : KEY_SET, &key))
        resp_number(call->out, find_item(key, call->argv[2]) != NULL);
}

/* ---- sets ---- */

static void sadd(struct store_call *call)
{
    struct key *key;
    int64_t added = 0;
    if (!open_or_make(call, KEY_SET, &key))
        return;
    for (size_t i = 2; i < call->argc; i++) {
        bool is_new;
        make_field(key, call->argv[i], &is_new);
        added += is_new;
    }
    resp_number(call->out, added);
}

static void srem(struct store_call *call)
{
    remove_members(call, KEY_SET);
}

static void smembers(struct store_call *call)
{
    struct key *key;
    if (!open_key(call, KEY_SET, &key))
        return;
    resp_array(call->out, key ? key->count : 0);
    for (size_t i = 0; key && i < key->count; i++)
        resp_text(call->out, key->items[i].name);
}

/* ---- sorted sets: items lie in their order ---- */

static size_t place_of(const struct key *key, double score, struct str name)
{
    size_t at = 0;
    while (at < key->count && (key->items[at].score < score ||
                               (key->items[at].score == score && str_compare(key->items[at].name, name) < 0)))
        at++;
    return at;
}

static void zadd(struct store_call *call)
{
    struct key *key;
    int64_t added = 0;
    double score;
    size_t first = 2;
    bool only_new = false, only_old = false, changed = false;
    for (; first < call->argc && !to_double(call->argv[first], &score); first++) {
        only_new |= is(call->argv[first], "NX");
        only_old |= is(call->argv[first], "XX");
        changed |= is(call->argv[first], "CH");
    }
    if (!open_or_make(call, KEY_ZSET, &key))
        return;
    for (size_t i = first; i + 1 < call->argc; i += 2) {
        struct item *old = find_item(key, call->argv[i + 1]);
        if (!to_double(call->argv[i], &score)) {
            resp_error(call->out, "ERR value is not a valid float");
            return;
        }
        if (old ? only_new : only_old)
            continue;
        added += !old || (changed && old->score != score);
        if (old)
            remove_item(key, (size_t)(old - key->items));
        struct item *item = insert_item(key, place_of(key, score, call->argv[i + 1]));
        item->name = copy_text(call->argv[i + 1]);
        item->score = score;
    }
    drop_if_empty(call, key);
    resp_number(call->out, added);
}

static void zrem(struct store_call *call)
{
    remove_members(call, KEY_ZSET);
}

static void zscore(struct store_call *call)
{
    struct key *key;
    char text[40];
    if (!open_key(call, KEY_ZSET, &key))
        return;
    const struct item *item = find_item(key, call->argv[2]);
    if (item)
        resp_text(call->out, number_text(item->score, text));
    else
        resp_nothing(call->out);
}

struct bound {
    double score;
    bool exclusive;
};

static bool to_bound(struct str text, struct bound *out)
{
    out->exclusive = text.len && text.ptr[0] == '(';
    return to_double(str_from(text.ptr + out->exclusive, text.len - out->exclusive), &out->score);
}

static bool is_within(double score, struct bound low, struct bound high)
{
    return (low.exclusive ? score > low.score : score >= low.score) &&
           (high.exclusive ? score < high.score : score <= high.score);
}

/* ZRANGEBYSCORE key low high [WITHSCORES] [LIMIT n m], ZCOUNT, ZREMRANGEBYSCORE. */
static void by_score(struct store_call *call)
{
    struct key *key;
    struct bound low, high;
    if (!to_bound(call->argv[2], &low) || !to_bound(call->argv[3], &high)) {
        resp_error(call->out, "ERR min or max is not a float");
        return;
    }
    if (!open_key(call, KEY_ZSET, &key))
        return;
    bool scores = false;
    uint64_t skip = 0, limit = UINT64_MAX;
    for (size_t i = 4; i < call->argc; i++) {
        scores |= is(call->argv[i], "WITHSCORES");
        if (is(call->argv[i], "LIMIT") && i + 2 < call->argc) {
            str_to_u64(call->argv[i + 1], &skip);
            str_to_u64(call->argv[i + 2], &limit);
        }
    }
    bool removes = is(call->argv[0], "ZREMRANGEBYSCORE"), lists = is(call->argv[0], "ZRANGEBYSCORE");
    struct buf rows = {0};
    char text[40];
    size_t count = 0;
    for (size_t i = 0; key && i < key->count;) {
        if (!is_within(key->items[i].score, low, high) || (skip && skip--) || count >= limit) {
            i++;
            continue;
        }
        count++;
        if (removes) {
            remove_item(key, i);
            continue;
        }
        resp_text(&rows, key->items[i].name);
        if (scores)
            resp_text(&rows, number_text(key->items[i].score, text));
        i++;
    }
    if (key && removes)
        drop_if_empty(call, key);
    if (lists) {
        resp_array(call->out, count * (scores ? 2U : 1U));
        buf_append(call->out, buf_str(&rows));
    } else {
        resp_number(call->out, (int64_t)count);
    }
    buf_fini(&rows);
}

static void zrange(struct store_call *call)
{
    struct key *key;
    int64_t first, last;
    char text[40];
    if (!to_number(call->argv[2], &first) || !to_number(call->argv[3], &last)) {
        resp_error(call->out, NOT_A_NUMBER);
        return;
    }
    if (!open_key(call, KEY_ZSET, &key))
        return;
    int64_t count = key ? (int64_t)key->count : 0;
    bool scores = call->argc > 4 && is(call->argv[4], "WITHSCORES");
    first = first < 0 ? (first + count < 0 ? 0 : first + count) : first;
    last = last < 0 ? last + count : last >= count ? count - 1 : last;
    resp_array(call->out, first > last ? 0 : (size_t)(last - first + 1) * (scores ? 2U : 1U));
    for (int64_t i = first; i <= last; i++) {
        resp_text(call->out, key->items[i].name);
        if (scores)
            resp_text(call->out, number_text(key->items[i].score, text));
    }
}

/* ZSCAN, HSCAN and SSCAN: all in one piece, as Redis does with small ones. */
static void scan(struct store_call *call)
{
    struct key *key;
    char text[40], kind = (char)(call->argv[0].ptr[0] | 0x20);
    if (!open_key(call, kind == 'z' ? KEY_ZSET : kind == 'h' ? KEY_HASH : KEY_SET, &key))
        return;
    resp_array(call->out, 2);
    resp_text(call->out, STR("0"));
    resp_array(call->out, (key ? key->count : 0) * (kind == 's' ? 1U : 2U));
    for (size_t i = 0; key && i < key->count; i++) {
        resp_text(call->out, key->items[i].name);
        if (kind != 's')
            resp_text(call->out, kind == 'z' ? number_text(key->items[i].score, text) : key->items[i].value);
    }
}

/* ---- streams ---- */

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
        remove_item(key, 0);
}

/* XADD key [NOMKSTREAM] [MAXLEN [=|~] n] id field value ...: about is exact here, which Redis may be too. */
static void xadd(struct store_call *call)
{
    struct key *key;
    uint64_t max = UINT64_MAX;
    size_t at = 2;
    struct stream_id id;
    if (is(call->argv[at], "MAXLEN")) {
        at += str_eq_cstr(call->argv[at + 1], "~") || str_eq_cstr(call->argv[at + 1], "=") ? 2 : 1;
        if (!str_to_u64(call->argv[at++], &max)) {
            resp_error(call->out, NOT_A_NUMBER);
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
    if (!open_key(call, KEY_STREAM, &key))
        return;
    struct stream_id last = key ? (struct stream_id){key->last_major, key->last_minor} : (struct stream_id){0, 0};
    if (!numbered)
        id = call->now_ms > last.major ? (struct stream_id){call->now_ms, 0}
                                       : (struct stream_id){last.major, last.minor + 1};
    if (!id_is_less(last, id)) {
        resp_error(call->out, "ERR The ID specified in XADD is equal or smaller than the target stream top item");
        return;
    }
    if (!key)
        key = make_key(call->store, call->argv[1], KEY_STREAM);
    struct buf fields = {0};
    resp_array(&fields, call->argc - at - 1);
    for (size_t i = at + 1; i < call->argc; i++)
        resp_text(&fields, call->argv[i]);
    struct item *item = insert_item(key, key->count);
    item->name = copy_text(buf_str(&fields));
    buf_fini(&fields);
    item->major = key->last_major = id.major;
    item->minor = key->last_minor = id.minor;
    trim(key, max);
    char text[48];
    resp_text(call->out,
              str_from(text, (size_t)snprintf(text, sizeof text, "%" PRIu64 "-%" PRIu64, id.major, id.minor)));
}

static void answer_entry(struct buf *out, const struct item *item)
{
    char text[48];
    resp_array(out, 2);
    resp_text(out,
              str_from(text, (size_t)snprintf(text, sizeof text, "%" PRIu64 "-%" PRIu64, item->major, item->minor)));
    buf_append(out, item->name);
}

/* XRANGE key low high [COUNT n] and XREVRANGE key high low [COUNT n]. */
static void xrange(struct store_call *call)
{
    struct key *key;
    struct stream_id low, high;
    bool reverse = is(call->argv[0], "XREVRANGE");
    uint64_t limit = UINT64_MAX;
    if (!to_id(call->argv[reverse ? 3 : 2], 0, &low) || !to_id(call->argv[reverse ? 2 : 3], UINT64_MAX, &high) ||
        (call->argc == 6 && !str_to_u64(call->argv[5], &limit))) {
        resp_error(call->out, "ERR Invalid stream ID specified as stream command argument");
        return;
    }
    if (!open_key(call, KEY_STREAM, &key))
        return;
    struct buf rows = {0};
    size_t count = 0;
    for (size_t i = 0; key && i < key->count && count < limit; i++) {
        const struct item *item = &key->items[reverse ? key->count - 1 - i : i];
        if (id_is_less(id_of(item), low) || id_is_less(high, id_of(item)))
            continue;
        answer_entry(&rows, item);
        count++;
    }
    resp_array(call->out, count);
    buf_append(call->out, buf_str(&rows));
    buf_fini(&rows);
}

/* ---- the table ---- */

enum { WRITES = 1, GROWS = 2 };

static const struct command {
    const char *name;
    size_t argc_min;
    unsigned flags; /* GROWS: refused when memory is full */
    void (*run)(struct store_call *call);
} commands[] = {
    {"GET", 2, 0, get},
    {"SET", 3, WRITES | GROWS, set},
    {"DEL", 2, WRITES, del},
    {"UNLINK", 2, WRITES, del},
    {"EXISTS", 2, 0, exists},
    {"PEXPIRE", 3, WRITES, pexpire},
    {"EXPIRE", 3, WRITES, pexpire},
    {"PTTL", 2, 0, pttl},
    {"PERSIST", 2, WRITES, persist},
    {"ROLE", 1, 0, role},
    {"TIME", 1, 0, tell_time},
    {"PUBLISH", 3, 0, publish},
    {"HGET", 3, 0, hget},
    {"HMGET", 3, 0, hget},
    {"HGETALL", 2, 0, hgetall},
    {"HKEYS", 2, 0, hgetall},
    {"HVALS", 2, 0, hgetall},
    {"HSET", 4, WRITES | GROWS, hset},
    {"HMSET", 4, WRITES | GROWS, hset},
    {"HSETNX", 4, WRITES | GROWS, hsetnx},
    {"HINCRBY", 4, WRITES | GROWS, hincrby},
    {"HDEL", 3, WRITES, hdel},
    {"HLEN", 2, 0, count_items},
    {"HEXISTS", 3, 0, hexists},
    {"SADD", 3, WRITES | GROWS, sadd},
    {"SREM", 3, WRITES, srem},
    {"SMEMBERS", 2, 0, smembers},
    {"SCARD", 2, 0, count_items},
    {"SISMEMBER", 3, 0, hexists},
    {"ZADD", 4, WRITES | GROWS, zadd},
    {"ZREM", 3, WRITES, zrem},
    {"ZSCORE", 3, 0, zscore},
    {"ZCARD", 2, 0, count_items},
    {"ZCOUNT", 4, 0, by_score},
    {"ZRANGE", 4, 0, zrange},
    {"ZRANGEBYSCORE", 4, 0, by_score},
    {"ZSCAN", 3, 0, scan},
    {"HSCAN", 3, 0, scan},
    {"SSCAN", 3, 0, scan},
    {"ZREMRANGEBYSCORE", 4, WRITES, by_score},
    {"XADD", 5, WRITES | GROWS, xadd},
    {"XLEN", 2, 0, count_items},
    {"XRANGE", 4, 0, xrange},
    {"XREVRANGE", 4, 0, xrange},
};

static const struct command *find_command(struct str name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (is(name, commands[i].name))
            return &commands[i];
    return NULL;
}

bool store_run(struct store_call *call)
{
    const struct command *command = find_command(call->argv[0]);
    const struct store *store = call->store;
    call->wrote = false;
    if (!command)
        return false;
    if (call->argc < command->argc_min)
        resp_error(call->out, "ERR wrong number of arguments");
    else if (store->loading)
        resp_error(call->out, "LOADING Redis is loading the dataset in memory");
    else if (store->read_only && command->flags & WRITES)
        resp_error(call->out, "READONLY You can't write against a read only replica.");
    else if (store->full && command->flags & GROWS && !call->dirty)
        resp_error(call->out, "OOM command not allowed when used memory > 'maxmemory'.");
    else {
        call->wrote = command->flags & WRITES;
        command->run(call);
    }
    return true;
}
