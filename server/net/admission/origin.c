/* origin.c - see origin.h. */
#include "server/net/admission/origin.h"

#include "common/base/alloc.h"
#include "common/protocol/path_pattern.h"
#include "server/net/admission/subprotocol.h"

static bool is_needed(const struct net_endpoint *endpoint)
{
    return endpoint->has_names || endpoint->base.upstream || endpoint->query.count > 0 || endpoint->headers.count > 0;
}

static bool is_credential(const struct net_endpoint *endpoint, struct str name)
{
    return texts_has(&endpoint->query_names, name) || texts_has(&endpoint->ticket_names, name);
}

/* scratch holds the decoded values. The query is longer than all of them. */
static enum err add_query(struct origin_values *values, const struct net_endpoint *endpoint, struct str query,
                          struct buf *scratch, struct error *error)
{
    struct buf decoded = {0};
    enum err err = ERR_NONE;
    buf_reserve(scratch, query.len);
    for (size_t i = 0; i < endpoint->query.count && query.len > 0 && !err; i++) {
        struct str value = {NULL, 0}, name = endpoint->query.items[i];
        size_t before = scratch->len;
        if (is_credential(endpoint, name))
            continue;
        err = http_query_get(query, name, &decoded, &value, error);
        if (err || !value.ptr)
            continue;
        buf_append(scratch, value);
        values->items[values->count++] = (struct origin_value){name, str_skip(buf_str(scratch), before)};
    }
    buf_fini(&decoded);
    return err;
}

/* The same for headers. All values with their separators are shorter than the head. */
static void add_headers(struct origin_values *values, const struct net_endpoint *endpoint, const struct http_head *head,
                        struct buf *scratch)
{
    buf_reserve(scratch, head->length);
    for (size_t i = 0; i < endpoint->headers.count; i++) {
        size_t before = scratch->len;
        bool found = false;
        for (size_t k = 0; k < head->fields.count; k++) {
            if (!str_eq_nocase(head->fields.items[k].name, endpoint->headers.items[i]))
                continue;
            if (found)
                buf_append_lit(scratch, ", ");
            buf_append(scratch, head->fields.items[k].value);
            found = true;
        }
        if (found)
            values->items[values->count++] =
                (struct origin_value){endpoint->headers.items[i], str_skip(buf_str(scratch), before)};
    }
}

static bool is_offered(const struct session_origin *origin, struct str item)
{
    for (size_t i = 0; i < origin->offered_count; i++)
        if (str_eq_nocase(origin->offered[i], item))
            return true;
    return false;
}

/* Each of them once, so that there are no more than the endpoint knows. */
static void add_offered(struct session_origin *origin, const struct net_endpoint *endpoint,
                        const struct http_head *head)
{
    struct http_list at = {0};
    struct str item;
    while (subprotocol_next(head, &at, &item))
        if (subprotocol_is_known(endpoint, item) && !is_offered(origin, item))
            origin->offered[origin->offered_count++] = item;
}

enum err origin_make(const struct net_endpoint *endpoint, const struct http_head *head, const struct address *client,
                     struct session_origin **out, struct error *error)
{
    char address[ADDRESS_TEXT_LEN + 1];
    struct path_value path[PATH_NAMES_MAX];
    struct origin_value names[PATH_NAMES_MAX];
    struct buf scratch[3] = {{0}};
    struct str traceparent = STR("");
    *out = NULL;
    if (!is_needed(endpoint))
        return ERR_NONE;
    http_head_find(head, STR("traceparent"), &traceparent);
    struct session_origin origin = {
        .endpoint = endpoint->base.path,
        .path = head->path,
        .address = str_from_cstr(address_text(client, address)),
        .subprotocol = subprotocol_select(endpoint, head),
        .traceparent = traceparent,
        .names = {names,
                  endpoint->has_names ? path_pattern_values(endpoint->base.path, head->path, &scratch[0], path) : 0},
        .query = {xcalloc(endpoint->query.count, sizeof(struct origin_value)), 0},
        .headers = {xcalloc(endpoint->headers.count, sizeof(struct origin_value)), 0},
        .offered = xcalloc(endpoint->subprotocols.count, sizeof(struct str)),
    };
    for (size_t i = 0; i < origin.names.count; i++)
        names[i] = (struct origin_value){path[i].name, path[i].value};
    enum err err = add_query(&origin.query, endpoint, head->query, &scratch[1], error);
    if (err == ERR_NONE) {
        add_headers(&origin.headers, endpoint, head, &scratch[2]);
        add_offered(&origin, endpoint, head);
        *out = session_origin_create(&origin);
    }
    free(origin.query.items);
    free(origin.headers.items);
    free(origin.offered);
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++)
        buf_fini(&scratch[i]);
    return err;
}
