/* store_collections.c - hashes, sets and sorted sets, as Redis 7 answers them. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/sim/store_private.h"

/* ---- hashes ---- */

static void hget(struct store_call *call)
{
    struct key *key;
    if (!store_open(call, KEY_HASH, &key))
        return;
    bool many = store_is(call->argv[0], "HMGET");
    if (many)
        resp_array(call->out, call->argc - 2);
    for (size_t i = 2; i < call->argc && (many || i == 2); i++) {
        const struct item *item = store_item(key, call->argv[i]);
        if (item)
            resp_text(call->out, item->value);
        else
            resp_nothing(call->out);
    }
}

static void hgetall(struct store_call *call)
{
    struct key *key;
    if (!store_open(call, KEY_HASH, &key))
        return;
    const char *what = store_is(call->argv[0], "HKEYS") ? "k" : store_is(call->argv[0], "HVALS") ? "v" : "kv";
    resp_array(call->out, key ? key->count * strlen(what) : 0);
    for (size_t i = 0; key && i < key->count; i++) {
        if (what[0] == 'k')
            resp_text(call->out, key->items[i].name);
        if (what[0] == 'v' || what[1])
            resp_text(call->out, key->items[i].value);
    }
}

static void hset(struct store_call *call)
{
    struct key *key;
    if (call->argc % 2 != 0) {
        resp_error(call->out, "ERR wrong number of arguments for 'hset' command");
        return;
    }
    if (!store_open_or_make(call, KEY_HASH, &key))
        return;
    int64_t added = 0;
    for (size_t i = 2; i + 1 < call->argc; i += 2) {
        bool is_new;
        store_set_value(store_make_item(key, call->argv[i], &is_new), call->argv[i + 1]);
        added += is_new;
    }
    if (store_is(call->argv[0], "HMSET"))
        resp_status(call->out, "OK");
    else
        resp_number(call->out, added);
}

static void hsetnx(struct store_call *call)
{
    struct key *key;
    bool is_new;
    if (!store_open_or_make(call, KEY_HASH, &key))
        return;
    struct item *item = store_make_item(key, call->argv[2], &is_new);
    if (is_new)
        store_set_value(item, call->argv[3]);
    resp_number(call->out, is_new);
}

static void hincrby(struct store_call *call)
{
    struct key *key;
    int64_t by, value = 0;
    bool is_new;
    if (!store_number(call->argv[3], &by)) {
        resp_error(call->out, STORE_NOT_A_NUMBER);
        return;
    }
    if (!store_open_or_make(call, KEY_HASH, &key))
        return;
    struct item *item = store_make_item(key, call->argv[2], &is_new);
    if (!is_new && !store_number(item->value, &value)) {
        resp_error(call->out, "ERR hash value is not an integer");
        return;
    }
    char text[24];
    value += by;
    store_set_value(item, str_from(text, (size_t)snprintf(text, sizeof text, "%" PRId64, value)));
    resp_number(call->out, value);
}

static void hdel(struct store_call *call)
{
    store_remove_members(call, KEY_HASH);
}

static void hexists(struct store_call *call)
{
    struct key *key;
    if (store_open(call, store_is(call->argv[0], "HEXISTS") ? KEY_HASH : KEY_SET, &key))
        resp_number(call->out, store_item(key, call->argv[2]) != NULL);
}

/* ---- sets ---- */

static void sadd(struct store_call *call)
{
    struct key *key;
    int64_t added = 0;
    if (!store_open_or_make(call, KEY_SET, &key))
        return;
    for (size_t i = 2; i < call->argc; i++) {
        bool is_new;
        store_make_item(key, call->argv[i], &is_new);
        added += is_new;
    }
    resp_number(call->out, added);
}

static void srem(struct store_call *call)
{
    store_remove_members(call, KEY_SET);
}

static void smembers(struct store_call *call)
{
    struct key *key;
    if (!store_open(call, KEY_SET, &key))
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
    for (; first < call->argc && !store_double(call->argv[first], &score); first++) {
        only_new |= store_is(call->argv[first], "NX");
        only_old |= store_is(call->argv[first], "XX");
        changed |= store_is(call->argv[first], "CH");
    }
    if (!store_open_or_make(call, KEY_ZSET, &key))
        return;
    for (size_t i = first; i + 1 < call->argc; i += 2) {
        struct item *old = store_item(key, call->argv[i + 1]);
        if (!store_double(call->argv[i], &score)) {
            resp_error(call->out, "ERR value is not a valid float");
            return;
        }
        if (old ? only_new : only_old)
            continue;
        added += !old || (changed && old->score != score);
        if (old)
            store_remove(key, (size_t)(old - key->items));
        struct item *item = store_insert(key, place_of(key, score, call->argv[i + 1]));
        item->name = store_copy_text(call->argv[i + 1]);
        item->score = score;
    }
    store_drop_if_empty(call, key);
    resp_number(call->out, added);
}

static void zrem(struct store_call *call)
{
    store_remove_members(call, KEY_ZSET);
}

static void zscore(struct store_call *call)
{
    struct key *key;
    char text[40];
    if (!store_open(call, KEY_ZSET, &key))
        return;
    const struct item *item = store_item(key, call->argv[2]);
    if (item)
        resp_text(call->out, store_number_text(item->score, text));
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
    return store_double(str_from(text.ptr + out->exclusive, text.len - out->exclusive), &out->score);
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
    if (!store_open(call, KEY_ZSET, &key))
        return;
    bool scores = false;
    uint64_t skip = 0, limit = UINT64_MAX;
    for (size_t i = 4; i < call->argc; i++) {
        scores |= store_is(call->argv[i], "WITHSCORES");
        if (store_is(call->argv[i], "LIMIT") && i + 2 < call->argc) {
            str_to_u64(call->argv[i + 1], &skip);
            str_to_u64(call->argv[i + 2], &limit);
        }
    }
    bool removes = store_is(call->argv[0], "ZREMRANGEBYSCORE"), lists = store_is(call->argv[0], "ZRANGEBYSCORE");
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
            store_remove(key, i);
            continue;
        }
        resp_text(&rows, key->items[i].name);
        if (scores)
            resp_text(&rows, store_number_text(key->items[i].score, text));
        i++;
    }
    if (key && removes)
        store_drop_if_empty(call, key);
    if (lists) {
        resp_array(call->out, count * (scores ? 2U : 1U));
        buf_append(call->out, buf_str(&rows));
    } else {
        resp_number(call->out, (int64_t)count);
    }
    buf_fini(&rows);
}

/* "-", "+", "[text", "(text". Below 0: the name is before the bound; 0: at it; above: after. */
static int compare_lex(struct str name, struct str bound, bool low)
{
    if (bound.len == 1 && (bound.ptr[0] == '-' || bound.ptr[0] == '+'))
        return bound.ptr[0] == '-' ? 1 : -1;
    int order = str_compare(name, str_from(bound.ptr + 1, bound.len - 1));
    if (order == 0 && bound.ptr[0] == '(')
        return low ? -1 : 1;
    return order;
}

/* ZRANGEBYLEX key low high [LIMIT n m] and ZLEXCOUNT. */
static void by_lex(struct store_call *call)
{
    struct key *key;
    uint64_t skip = 0, limit = UINT64_MAX;
    if (call->argc == 7 && (!str_to_u64(call->argv[5], &skip) || !str_to_u64(call->argv[6], &limit))) {
        resp_error(call->out, STORE_NOT_A_NUMBER);
        return;
    }
    if (!store_open(call, KEY_ZSET, &key))
        return;
    struct buf rows = {0};
    size_t count = 0;
    for (size_t i = 0; key && i < key->count && count < limit; i++) {
        struct str name = key->items[i].name;
        if (compare_lex(name, call->argv[2], true) < 0 || compare_lex(name, call->argv[3], false) > 0 ||
            (skip && skip--))
            continue;
        resp_text(&rows, name);
        count++;
    }
    if (store_is(call->argv[0], "ZLEXCOUNT")) {
        resp_number(call->out, (int64_t)count);
    } else {
        resp_array(call->out, count);
        buf_append(call->out, buf_str(&rows));
    }
    buf_fini(&rows);
}

static void zrange(struct store_call *call)
{
    struct key *key;
    int64_t first, last;
    char text[40];
    if (!store_number(call->argv[2], &first) || !store_number(call->argv[3], &last)) {
        resp_error(call->out, STORE_NOT_A_NUMBER);
        return;
    }
    if (!store_open(call, KEY_ZSET, &key))
        return;
    int64_t count = key ? (int64_t)key->count : 0;
    bool scores = call->argc > 4 && store_is(call->argv[4], "WITHSCORES");
    first = first < 0 ? (first + count < 0 ? 0 : first + count) : first;
    last = last < 0 ? last + count : last >= count ? count - 1 : last;
    resp_array(call->out, first > last ? 0 : (size_t)(last - first + 1) * (scores ? 2U : 1U));
    for (int64_t i = first; i <= last; i++) {
        resp_text(call->out, key->items[i].name);
        if (scores)
            resp_text(call->out, store_number_text(key->items[i].score, text));
    }
}

/* ZSCAN, HSCAN and SSCAN: all in one piece, as Redis does with small ones. */
static void scan(struct store_call *call)
{
    struct key *key;
    char text[40], kind = (char)(call->argv[0].ptr[0] | 0x20);
    if (!store_open(call, kind == 'z' ? KEY_ZSET : kind == 'h' ? KEY_HASH : KEY_SET, &key))
        return;
    resp_array(call->out, 2);
    resp_text(call->out, STR("0"));
    resp_array(call->out, (key ? key->count : 0) * (kind == 's' ? 1U : 2U));
    for (size_t i = 0; key && i < key->count; i++) {
        resp_text(call->out, key->items[i].name);
        if (kind != 's')
            resp_text(call->out, kind == 'z' ? store_number_text(key->items[i].score, text) : key->items[i].value);
    }
}

/* ---- the table ---- */

static const struct store_command collection_rows[] = {
    {"HGET", 3, 0, hget},
    {"HMGET", 3, 0, hget},
    {"HGETALL", 2, 0, hgetall},
    {"HKEYS", 2, 0, hgetall},
    {"HVALS", 2, 0, hgetall},
    {"HSET", 4, STORE_WRITES | STORE_GROWS, hset},
    {"HMSET", 4, STORE_WRITES | STORE_GROWS, hset},
    {"HSETNX", 4, STORE_WRITES | STORE_GROWS, hsetnx},
    {"HINCRBY", 4, STORE_WRITES | STORE_GROWS, hincrby},
    {"HDEL", 3, STORE_WRITES, hdel},
    {"HLEN", 2, 0, store_count_items},
    {"HEXISTS", 3, 0, hexists},
    {"SADD", 3, STORE_WRITES | STORE_GROWS, sadd},
    {"SREM", 3, STORE_WRITES, srem},
    {"SMEMBERS", 2, 0, smembers},
    {"SCARD", 2, 0, store_count_items},
    {"SISMEMBER", 3, 0, hexists},
    {"ZADD", 4, STORE_WRITES | STORE_GROWS, zadd},
    {"ZREM", 3, STORE_WRITES, zrem},
    {"ZSCORE", 3, 0, zscore},
    {"ZCARD", 2, 0, store_count_items},
    {"ZLEXCOUNT", 4, 0, by_lex},
    {"ZRANGEBYLEX", 4, 0, by_lex},
    {"ZCOUNT", 4, 0, by_score},
    {"ZRANGE", 4, 0, zrange},
    {"ZRANGEBYSCORE", 4, 0, by_score},
    {"ZSCAN", 3, 0, scan},
    {"HSCAN", 3, 0, scan},
    {"SSCAN", 3, 0, scan},
    {"ZREMRANGEBYSCORE", 4, STORE_WRITES, by_score},
};

const struct store_table store_collection = {collection_rows, sizeof collection_rows / sizeof *collection_rows};
