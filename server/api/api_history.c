/* api_history.c - GET /api/v1/channels/{channel}/history: pages of what was published, after a position or before one.
 */
#include "common/protocol/http_head.h"
#include "server/api/api_private.h"

static void respond_page(const struct api_request *request, struct request *asked)
{
    const struct history_read *read = history_read_of(asked);
    struct buf *out = &request->call->response.body;
    buf_reserve(out, read->text.len + asked->channel.len + 256);
    buf_append_lit(out, "{\"channel\":");
    json_append_string(out, asked->channel);
    if (read->epoch[0]) {
        buf_append_lit(out, ",\"epoch\":");
        json_append_string(out, str_from_cstr(read->epoch));
        buf_append_lit(out, ",\"offset\":");
        buf_append_u64(out, read->offset);
    }
    buf_append_lit(out, ",\"events\":[");
    buf_append(out, buf_str(&read->text));
    buf_append(out, read->more ? STR("],\"more\":true}") : STR("],\"more\":false}"));
    api_respond(request, 200);
}

/* Reads a number from the query parameters. *out_has stays false when it is not there. */
static enum err read_number(struct str query, const char *name, bool *out_has, uint64_t *out, struct error *error)
{
    struct buf text = {0};
    struct str value = {0};
    enum err err = http_query_get(query, str_from_cstr(name), &text, &value, error);
    if (!err && value.ptr && !str_to_u64(value, out))
        err = error_set(error, ERR_INVALID_REQUEST, "%s: expected a whole number", name);
    *out_has = !err && value.ptr;
    buf_fini(&text);
    return err;
}

/* The epoch belongs to an offset: alone it would say nothing. */
static enum err read_epoch(struct str query, const char *name, bool has_offset, struct history_read *read,
                           struct error *error)
{
    struct buf text = {0};
    struct str value = {0};
    enum err err = http_query_get(query, str_from_cstr(name), &text, &value, error);
    if (!err && value.ptr && (value.len == 0 || value.len > EPOCH_MAX))
        err =
            error_set(error, ERR_INVALID_REQUEST, "%s: expected 1 to %d bytes, found %zu", name, EPOCH_MAX, value.len);
    if (!err && value.ptr && !has_offset)
        err = error_set(error, ERR_INVALID_REQUEST, "%s: needs %.*s_offset too, the position it is of", name,
                        (int)(strchr(name, '_') - name), name);
    if (!err && value.ptr)
        history_read_expect(read, value);
    buf_fini(&text);
    return err;
}

static const char *const query_names[] = {"since_offset", "since_epoch", "before_offset",
                                          "before_epoch", "limit",       NULL};

static enum err read_query(struct str query, struct history_read *read, struct error *error)
{
    bool has_since = false, has_before = false, has_limit = false;
    uint64_t limit = HISTORY_LIMIT_DEFAULT;
    enum err err = http_query_check(query, query_names, error);
    if (!err)
        err = read_number(query, "since_offset", &has_since, &read->after, error);
    if (!err)
        err = read_number(query, "before_offset", &has_before, &read->before, error);
    if (!err && has_since && has_before)
        err = error_set(error, ERR_INVALID_REQUEST, "expected only one of since_offset and before_offset");
    if (!err)
        err = read_epoch(query, "since_epoch", has_since, read, error);
    if (!err)
        err = read_epoch(query, "before_epoch", has_before, read, error);
    if (!err)
        err = read_number(query, "limit", &has_limit, &limit, error);
    if (!err && (limit == 0 || limit > HISTORY_LIMIT_MAX))
        err = error_set(error, ERR_INVALID_REQUEST, "limit: expected a whole number from 1 to %d", HISTORY_LIMIT_MAX);
    read->limit = (uint32_t)limit;
    read->backwards = !has_since;
    if (has_before && read->before == 0)
        read->before = 1; /* nothing is below, either */
    return err;
}

void api_history(const struct api_request *request)
{
    struct str channel = STR("");
    struct error error;
    enum err err = api_channel_of_path(request, &channel, &error);
    if (!err)
        err = channel_check(channel, &error);
    if (err) {
        api_respond_error(request, &error);
        return;
    }
    struct history_read *read = history_read_create(channel, STR(""));
    if (read_query(request->call->request.query, read, &error)) {
        request_destroy(&read->base);
        api_respond_error(request, &error);
        return;
    }
    read->max_bytes = HISTORY_PAGE_BYTES;
    api_ask(request, &read->base, respond_page);
}
