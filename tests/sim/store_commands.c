/* store_commands.c - the commands of Redis that Carillon uses, as Redis 7 answers them (tests/integration compares).
 * Here: what all share, keys and strings. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/store_private.h"

/* ---- what commands share ---- */

bool store_is(struct str text, const char *word)
{
    return str_eq_nocase(text, str_from_cstr(word));
}

bool store_number(struct str text, int64_t *out)
{
    uint64_t value;
    bool negative = text.len && text.ptr[0] == '-';
    if (!str_to_u64(str_from(text.ptr + negative, text.len - negative), &value) || value > INT64_MAX)
        return false;
    *out = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

struct str store_number_text(double value, char out[40])
{
    if (isinf(value))
        return str_from(out, (size_t)snprintf(out, 40, "%s", value < 0 ? "-inf" : "inf"));
    return str_from(out, (size_t)snprintf(out, 40, "%.17g", value));
}

bool store_double(struct str text, double *out)
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
bool store_open(struct store_call *call, enum key_type type, struct key **out)
{
    *out = store_live(call->store, call->argv[1], call->now_ms);
    if (!*out || (*out)->type == type)
        return true;
    resp_error(call->out, STORE_WRONG_TYPE);
    return false;
}

bool store_open_or_make(struct store_call *call, enum key_type type, struct key **out)
{
    if (!store_open(call, type, out))
        return false;
    if (!*out)
        *out = store_make(call->store, call->argv[1], type);
    return true;
}

void store_drop_if_empty(struct store_call *call, const struct key *key)
{
    if (key->count == 0 && key->type != KEY_STREAM)
        store_drop(call->store, call->argv[1]);
}

void store_set_value(struct item *item, struct str value)
{
    store_free_text(item->value);
    item->value = store_copy_text(value);
}

struct item *store_make_item(struct key *key, struct str name, bool *out_new)
{
    struct item *item = store_item(key, name);
    *out_new = !item;
    if (!item) {
        item = store_insert(key, key->count);
        item->name = store_copy_text(name);
    }
    return item;
}

/* HDEL, SREM and ZREM. */
void store_remove_members(struct store_call *call, enum key_type type)
{
    struct key *key;
    int64_t count = 0;
    if (!store_open(call, type, &key))
        return;
    for (size_t i = 2; key && i < call->argc; i++) {
        struct item *item = store_item(key, call->argv[i]);
        if (!item)
            continue;
        store_remove(key, (size_t)(item - key->items));
        count++;
    }
    if (key)
        store_drop_if_empty(call, key);
    resp_number(call->out, count);
}

/* HLEN, SCARD, ZCARD and XLEN. */
void store_count_items(struct store_call *call)
{
    struct key *key;
    char kind = (char)(call->argv[0].ptr[0] | 0x20);
    if (store_open(call, kind == 'h' ? KEY_HASH : kind == 's' ? KEY_SET : kind == 'z' ? KEY_ZSET : KEY_STREAM, &key))
        resp_number(call->out, key ? (int64_t)key->count : 0);
}

/* ---- strings and keys ---- */

static void get(struct store_call *call)
{
    struct key *key;
    if (!store_open(call, KEY_STRING, &key))
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
        if (store_is(call->argv[i], "NX"))
            only_new = true;
        else if (store_is(call->argv[i], "PX") && i + 1 < call->argc && str_to_u64(call->argv[i + 1], &ttl_ms) &&
                 ttl_ms)
            i++;
        else {
            resp_error(call->out, "ERR syntax error");
            return;
        }
    }
    if (only_new && store_live(call->store, call->argv[1], call->now_ms)) {
        resp_nothing(call->out);
        return;
    }
    store_drop(call->store, call->argv[1]);
    struct key *key = store_make(call->store, call->argv[1], KEY_STRING);
    key->ends_ms = ttl_ms ? call->now_ms + ttl_ms : 0;
    store_set_value(store_insert(key, 0), call->argv[2]);
    resp_status(call->out, "OK");
}

static void del(struct store_call *call)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argc; i++)
        count += store_live(call->store, call->argv[i], call->now_ms) && store_drop(call->store, call->argv[i]);
    resp_number(call->out, count);
}

static void exists(struct store_call *call)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argc; i++)
        count += store_live(call->store, call->argv[i], call->now_ms) != NULL;
    resp_number(call->out, count);
}

static void pexpire(struct store_call *call)
{
    struct key *key = store_live(call->store, call->argv[1], call->now_ms);
    int64_t ttl_ms;
    if (!store_number(call->argv[2], &ttl_ms)) {
        resp_error(call->out, STORE_NOT_A_NUMBER);
        return;
    }
    if (store_is(call->argv[0], "EXPIRE"))
        ttl_ms *= 1000;
    resp_number(call->out, key != NULL);
    if (key && ttl_ms <= 0)
        store_drop(call->store, call->argv[1]);
    else if (key)
        key->ends_ms = call->now_ms + (uint64_t)ttl_ms;
}

static void pttl(struct store_call *call)
{
    struct key *key = store_live(call->store, call->argv[1], call->now_ms);
    resp_number(call->out, !key ? -2 : !key->ends_ms ? -1 : (int64_t)(key->ends_ms - call->now_ms));
}

static void persist(struct store_call *call)
{
    struct key *key = store_live(call->store, call->argv[1], call->now_ms);
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

/* NUMSUB of one channel. */
static void pubsub(struct store_call *call)
{
    resp_array(call->out, 2);
    resp_text(call->out, call->argv[2]);
    resp_number(call->out, (int64_t)call->listeners(call->argv[2]));
}

/* ---- the table ---- */

static const struct store_command key_rows[] = {
    {"GET", 2, 0, get},
    {"SET", 3, STORE_WRITES | STORE_GROWS, set},
    {"DEL", 2, STORE_WRITES, del},
    {"UNLINK", 2, STORE_WRITES, del},
    {"EXISTS", 2, 0, exists},
    {"PEXPIRE", 3, STORE_WRITES, pexpire},
    {"EXPIRE", 3, STORE_WRITES, pexpire},
    {"PTTL", 2, 0, pttl},
    {"PERSIST", 2, STORE_WRITES, persist},
    {"ROLE", 1, 0, role},
    {"TIME", 1, 0, tell_time},
    {"PUBLISH", 3, 0, publish},
    {"PUBSUB", 3, 0, pubsub},
};

static const struct store_table store_key = {key_rows, sizeof key_rows / sizeof *key_rows};

static const struct store_command *find_command(struct str name)
{
    const struct store_table *const tables[] = {&store_key, &store_collection, &store_stream, &store_group};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (size_t k = 0; k < tables[i]->count; k++)
            if (store_is(name, tables[i]->rows[k].name))
                return &tables[i]->rows[k];
    return NULL;
}

bool store_run(struct store_call *call)
{
    const struct store_command *command = find_command(call->argv[0]);
    const struct store *store = call->store;
    bool is_refused_readonly = command && store->read_only && command->flags & STORE_WRITES;
    bool is_refused_full = command && store->full && command->flags & STORE_GROWS && !call->dirty;
    call->wrote = false;
    if (!command)
        return false;
    if (call->argc < command->argc_min)
        resp_error(call->out, "ERR wrong number of arguments");
    else if (store->loading)
        resp_error(call->out, "LOADING Redis is loading the dataset in memory");
    else if (is_refused_readonly)
        resp_error(call->out, "READONLY You can't write against a read only replica.");
    else if (is_refused_full)
        resp_error(call->out, "OOM command not allowed when used memory > 'maxmemory'.");
    else {
        call->wrote = command->flags & STORE_WRITES;
        command->run(call);
    }
    if (is_refused_readonly || is_refused_full)
        call->refused(call->argv[1]);
    return true;
}
