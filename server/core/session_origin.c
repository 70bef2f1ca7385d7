/* session_origin.c - see session_origin.h. An origin is one block: the struct, its arrays, its texts. */
#include "server/core/session_origin.h"

#include "common/base/alloc.h"

static size_t bytes_of(const struct origin_values *values)
{
    size_t bytes = 0;
    for (size_t i = 0; i < values->count; i++)
        bytes += values->items[i].name.len + values->items[i].value.len;
    return bytes;
}

static void pack_values(struct origin_values *values, struct origin_value **items, char **text)
{
    const struct origin_value *from = values->items;
    values->items = *items;
    for (size_t i = 0; i < values->count; i++)
        *(*items)++ = (struct origin_value){str_pack(text, from[i].name), str_pack(text, from[i].value)};
}

struct session_origin *session_origin_create(const struct session_origin *original)
{
    size_t values = original->names.count + original->query.count + original->headers.count;
    size_t bytes = original->endpoint.len + original->path.len + original->address.len + original->subprotocol.len +
                   original->traceparent.len + original->state.len + bytes_of(&original->names) +
                   bytes_of(&original->query) + bytes_of(&original->headers);
    for (size_t i = 0; i < original->offered_count; i++)
        bytes += original->offered[i].len;
    struct session_origin *origin = xmalloc(sizeof *origin + values * sizeof(struct origin_value) +
                                            original->offered_count * sizeof(struct str) + bytes);
    struct origin_value *items = (void *)(origin + 1);
    struct str *offered = (void *)(items + values);
    char *text = (void *)(offered + original->offered_count);
    *origin = *original;
    origin->refs = 1;
    origin->endpoint = str_pack(&text, original->endpoint);
    origin->path = str_pack(&text, original->path);
    origin->address = str_pack(&text, original->address);
    origin->subprotocol = str_pack(&text, original->subprotocol);
    origin->traceparent = str_pack(&text, original->traceparent);
    origin->state = str_pack(&text, original->state);
    pack_values(&origin->names, &items, &text);
    pack_values(&origin->query, &items, &text);
    pack_values(&origin->headers, &items, &text);
    origin->offered = offered;
    for (size_t i = 0; i < origin->offered_count; i++)
        offered[i] = str_pack(&text, original->offered[i]);
    return origin;
}

struct session_origin *session_origin_ref(struct session_origin *origin)
{
    origin->refs++;
    return origin;
}

void session_origin_unref(struct session_origin *origin)
{
    if (origin && --origin->refs == 0)
        free(origin);
}

bool origin_values_find(const struct origin_values *values, struct str name, struct str *out)
{
    for (size_t i = 0; i < values->count; i++)
        if (str_eq(values->items[i].name, name)) {
            *out = values->items[i].value;
            return true;
        }
    return false;
}
