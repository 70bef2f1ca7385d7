/* api_presence.c - GET /api/v1/channels/{channel}/presence: who is on a channel, on all nodes, in pages. */
#include "common/protocol/http_head.h"
#include "server/api/api_private.h"
#include "server/core/presence.h"

static void respond_page(const struct api_request *request, struct request *asked)
{
    struct buf *out = &request->call->response.body;
    const struct presence_page page = presence_read_page(presence_read_of(asked));
    buf_append_lit(out, "{\"channel\":");
    json_append_string(out, asked->channel);
    buf_append_char(out, ',');
    presence_page_write(out, &page);
    buf_append_char(out, '}');
    api_respond(request, 200);
}

static enum err read_query(struct str query, struct buf *after, uint64_t *out_limit, struct error *error)
{
    struct buf text = {0};
    struct str limit = {0}, user = {0};
    static const char *const names[] = {"limit", "after", NULL};
    *out_limit = PRESENCE_PAGE_DEFAULT;
    enum err err = http_query_check(query, names, error);
    if (!err)
        err = http_query_get(query, STR("limit"), &text, &limit, error);
    if (!err && limit.ptr && (!str_to_u64(limit, out_limit) || *out_limit == 0 || *out_limit > PRESENCE_PAGE_MAX))
        err = error_set(error, ERR_INVALID_REQUEST, "limit: expected a whole number from 1 to %d", PRESENCE_PAGE_MAX);
    buf_clear(&text);
    if (!err)
        err = http_query_get(query, STR("after"), &text, &user, error);
    if (!err && user.ptr)
        buf_append(after, user);
    if (!err && (!str_is_utf8(buf_str(after)) || memchr(after->ptr ? after->ptr : "", '\0', after->len)))
        err = error_set(error, ERR_INVALID_REQUEST, "after: expected the user of the last member before");
    buf_fini(&text);
    return err;
}

void api_presence(const struct api_request *request)
{
    struct api *api = request->api;
    struct str channel = STR("");
    struct buf after = {0};
    struct error error;
    uint64_t limit;
    enum err err = api_channel_of_path(request, &channel, &error);
    if (!err)
        err = channel_check(channel, &error);
    if (!err)
        err = read_query(request->call->request.query, &after, &limit, &error);
    struct presence_policy policy = rules_keeping(api->config.rules, channel).presence;
    if (!err && !policy.kept)
        err = error_set(&error, ERR_NOT_FOUND, "presence is off for this channel: its rule needs \"presence\": true");
    if (err) {
        api_respond_error(request, &error);
    } else {
        struct presence_read *read = presence_read_create(&policy, channel, buf_str(&after), limit, STR(""));
        api_ask(request, &read->base, respond_page);
    }
    buf_fini(&after);
}
