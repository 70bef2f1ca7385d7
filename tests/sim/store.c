/* store.c - see store.h: keys and their ends. Commands are in the other files. */
#include "tests/sim/store.h"

#include <inttypes.h>

#include "common/base/alloc.h"
#include "tests/sim/store_private.h"

/* ---- RESP ---- */

void resp_error(struct buf *out, const char *text)
{
    buf_appendf(out, "-%s\r\n", text);
}

void resp_status(struct buf *out, const char *text)
{
    buf_appendf(out, "+%s\r\n", text);
}

void resp_number(struct buf *out, int64_t value)
{
    buf_appendf(out, ":%" PRId64 "\r\n", value);
}

void resp_text(struct buf *out, struct str text)
{
    buf_appendf(out, "$%zu\r\n", text.len);
    buf_append(out, text);
    buf_append_lit(out, "\r\n");
}

void resp_nothing(struct buf *out)
{
    buf_append_lit(out, "$-1\r\n");
}

void resp_array(struct buf *out, size_t count)
{
    buf_appendf(out, "*%zu\r\n", count);
}

/* ---- items ---- */

struct str store_copy_text(struct str text)
{
    return str_from(str_dup(text), text.len);
}

void store_free_text(struct str text)
{
    free((void *)(uintptr_t)text.ptr);
}

struct item *store_insert(struct key *key, size_t at)
{
    if (key->count == key->cap) {
        key->cap = key->cap ? key->cap * 2 : 4;
        key->items = xrealloc(key->items, key->cap * sizeof *key->items);
    }
    memmove(key->items + at + 1, key->items + at, (key->count - at) * sizeof *key->items);
    key->count++;
    key->items[at] = (struct item){0};
    return &key->items[at];
}

void store_remove(struct key *key, size_t at)
{
    store_free_text(key->items[at].name);
    store_free_text(key->items[at].value);
    memmove(key->items + at, key->items + at + 1, (--key->count - at) * sizeof *key->items);
}

struct item *store_item(const struct key *key, struct str name)
{
    for (size_t i = 0; key && i < key->count; i++)
        if (str_eq(key->items[i].name, name))
            return &key->items[i];
    return NULL;
}

/* ---- keys ---- */

static void free_key(struct key *key)
{
    while (key->count)
        store_remove(key, key->count - 1);
    free(key->items);
    store_free_group(key->group);
    store_free_text(key->name);
    free(key);
}

bool store_drop(struct store *store, struct str name)
{
    struct key *key = map_remove(&store->keys, name);
    if (key)
        free_key(key);
    return key != NULL;
}

void store_lose(struct store *store, struct str name)
{
    (void)store_drop(store, name);
}

struct key *store_live(struct store *store, struct str name, uint64_t now_ms)
{
    struct key *key = map_get(&store->keys, name);
    if (!key || !key->ends_ms || key->ends_ms > now_ms)
        return key;
    store_drop(store, name);
    return NULL;
}

struct key *store_make(struct store *store, struct str name, enum key_type type)
{
    struct key *key = xcalloc(1, sizeof *key);
    key->name = store_copy_text(name);
    key->type = type;
    map_put(&store->keys, key->name, key);
    return key;
}

const struct key *store_find(const struct store *store, struct str name, uint64_t now_ms)
{
    const struct key *key = map_get(&store->keys, name);
    return key && (!key->ends_ms || key->ends_ms > now_ms) ? key : NULL;
}

const struct str *store_field(const struct key *key, struct str field)
{
    const struct item *item = store_item(key, field);
    return item ? &item->value : NULL;
}

void store_clear(struct store *store)
{
    size_t cursor = 0;
    for (struct key *key; (key = map_next(&store->keys, &cursor));)
        free_key(key);
    map_fini(&store->keys);
    memset(store, 0, sizeof *store);
}

void store_copy(struct store *to, const struct store *from)
{
    size_t cursor = 0;
    for (const struct key *key; (key = map_next(&from->keys, &cursor));) {
        struct key *copy = store_make(to, key->name, key->type);
        copy->ends_ms = key->ends_ms;
        copy->last_major = key->last_major;
        copy->last_minor = key->last_minor;
        copy->group = store_copy_group(key->group);
        for (size_t i = 0; i < key->count; i++) {
            struct item *item = store_insert(copy, i);
            *item = key->items[i];
            item->name = store_copy_text(item->name);
            item->value = store_copy_text(item->value);
        }
    }
}
