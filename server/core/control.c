/* control.c - see control.h. */
#include "server/core/control.h"

#include <assert.h>

#include "common/base/alloc.h"

/* --- rows --------------------------------------------------------------------------------------------------------- */

static struct str keep(char **at, struct str text)
{
    struct str kept = {*at, text.len};
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return kept;
}

/* Replaces the result's rows by copies. */
static void set_rows(struct control_result *result, const struct control_row *rows, size_t count)
{
    struct control_row *copy = NULL;
    if (count) {
        size_t texts = 0;
        for (size_t i = 0; i < count; i++)
            texts += rows[i].key.len + rows[i].user.len + rows[i].address.len + rows[i].node.len;
        copy = xmalloc(count * sizeof *copy + texts);
        char *at = (char *)(copy + count);
        for (size_t i = 0; i < count; i++) {
            copy[i] = rows[i];
            copy[i].key = keep(&at, rows[i].key);
            copy[i].user = keep(&at, rows[i].user);
            copy[i].address = keep(&at, rows[i].address);
            copy[i].node = keep(&at, rows[i].node);
        }
    }
    free(result->rows); /* only now: the new rows may borrow from it */
    result->rows = copy;
    result->row_count = count;
}

static int compare_rows(const void *a, const void *b)
{
    return str_compare(((const struct control_row *)a)->key, ((const struct control_row *)b)->key);
}

/* The first rows of very many: they are gathered in a store of twice the page, which is sorted and cut when full. */
struct page {
    struct control_row *rows;
    size_t count;
    size_t limit;
    bool more;
};

static void page_cut(struct page *page)
{
    if (page->count)
        qsort(page->rows, page->count, sizeof *page->rows, compare_rows);
    if (page->count > page->limit) {
        page->count = page->limit;
        page->more = true;
    }
}

static void page_start(struct page *page, const struct control_request *request)
{
    assert(request->limit >= 1 && request->limit <= CONTROL_PAGE_MAX);
    *page = (struct page){.limit = (size_t)request->limit};
    page->rows = xmalloc(2 * page->limit * sizeof *page->rows);
}

static void page_add(struct page *page, const struct control_row *row)
{
    if (page->count == 2 * page->limit)
        page_cut(page);
    page->rows[page->count++] = *row;
}

static void page_finish(struct page *page, struct control_result *out)
{
    page_cut(page);
    set_rows(out, page->rows, page->count);
    out->more = page->more;
    free(page->rows);
}

/* --- what is asked of one hub ---------------------------------------------------------------------------------------
 */

static bool concerns(const struct control_request *request, const struct session *session)
{
    if (session->state != SESSION_OPEN)
        return false;
    return request->session_id.len ? str_eq(request->session_id, str_from(session->uuid, UUID_LEN))
                                   : str_eq(request->user, session->claims->sub);
}

static bool disconnect(struct hub *hub, struct session *session, const struct control_request *request)
{
    if (request->code)
        hub_close_with(hub, session, (int)request->code, request->reason);
    else
        hub_close(hub, session, REASON_DISCONNECTED);
    return true;
}

static bool subscribe(struct hub *hub, struct session *session, const struct control_request *request)
{
    return hub_subscribe(hub, session, request->channel);
}

static bool unsubscribe(struct hub *hub, struct session *session, const struct control_request *request)
{
    return hub_unsubscribe(hub, session, request->channel);
}

static void change(struct hub *hub, const struct control_request *request, struct control_result *out,
                   bool (*act)(struct hub *, struct session *, const struct control_request *))
{
    size_t cursor = 0;
    for (struct session *session; (session = hub_next_session(hub, &cursor));)
        if (concerns(request, session) && act(hub, session, request))
            out->count++;
}

static void list_sessions(struct hub *hub, const struct control_request *request, struct control_result *out)
{
    struct page page;
    size_t cursor = 0;
    page_start(&page, request);
    for (const struct session *session; (session = hub_next_session(hub, &cursor));) {
        struct control_row row = {
            .key = str_from(session->uuid, UUID_LEN),
            .user = session->claims->sub,
            .address = str_from_cstr(session->address),
            .connected_ms = session->opened_ms,
            .expires_ms = session->claims->exp_ms,
            .channels = session->subscription_count,
            .outbox_bytes = session->outbox.bytes + session->unsent_bytes,
        };
        if (session->state == SESSION_OPEN && str_compare(row.key, request->after) > 0 &&
            (request->user.len == 0 || str_eq(request->user, row.user)))
            page_add(&page, &row);
    }
    page_finish(&page, out);
}

static struct control_row channel_row(const struct channel *channel)
{
    return (struct control_row){.key = channel_name(channel), .subscribers = channel_subscribers(channel)};
}

static void list_channels(struct hub *hub, const struct control_request *request, struct control_result *out)
{
    struct page page;
    size_t cursor = 0;
    page_start(&page, request);
    for (const struct channel *channel; (channel = hub_next_channel(hub, &cursor));) {
        struct control_row row = channel_row(channel);
        if (str_starts_with(row.key, request->prefix) && str_compare(row.key, request->after) > 0)
            page_add(&page, &row);
    }
    page_finish(&page, out);
}

static void look_at_channel(struct hub *hub, const struct control_request *request, struct control_result *out)
{
    const struct channel *channel = hub_channel(hub, request->channel);
    if (!channel || channel_subscribers(channel) == 0)
        return;
    struct control_row row = channel_row(channel);
    set_rows(out, &row, 1);
}

static void count_sessions(struct hub *hub, struct control_result *out)
{
    size_t cursor = 0;
    for (const struct session *session; (session = hub_next_session(hub, &cursor));)
        out->count += session->state == SESSION_OPEN;
}

void control_run(struct hub *hub, const struct control_request *request, struct control_result *out)
{
    *out = (struct control_result){0};
    switch (request->op) {
    case CONTROL_DISCONNECT: change(hub, request, out, disconnect); break;
    case CONTROL_SUBSCRIBE: change(hub, request, out, subscribe); break;
    case CONTROL_UNSUBSCRIBE: change(hub, request, out, unsubscribe); break;
    case CONTROL_SESSIONS: list_sessions(hub, request, out); break;
    case CONTROL_CHANNELS: list_channels(hub, request, out); break;
    case CONTROL_CHANNEL: look_at_channel(hub, request, out); break;
    case CONTROL_INFO: count_sessions(hub, out); break;
    case CONTROL_OP_COUNT: break;
    }
}

/* --- answers of several ---------------------------------------------------------------------------------------------
 */

/* Rows of the same key become one; what they count is added up. */
static size_t join_equal(struct control_row *rows, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept && str_eq(rows[kept - 1].key, rows[i].key)) {
            rows[kept - 1].subscribers += rows[i].subscribers;
            rows[kept - 1].nodes += rows[i].nodes;
        } else {
            rows[kept++] = rows[i];
        }
    }
    return kept;
}

void control_result_merge(struct control_result *into, const struct control_result *from, uint64_t limit)
{
    size_t count = into->row_count + from->row_count;
    into->count += from->count;
    into->more = into->more || from->more;
    if (from->row_count == 0)
        return;
    struct control_row *all = xmalloc(count * sizeof *all);
    if (into->row_count)
        memcpy(all, into->rows, into->row_count * sizeof *all);
    memcpy(all + into->row_count, from->rows, from->row_count * sizeof *all);
    qsort(all, count, sizeof *all, compare_rows);
    count = join_equal(all, count);
    if (count > limit) {
        count = (size_t)limit;
        into->more = true;
    }
    set_rows(into, all, count);
    free(all);
}

void control_result_fini(struct control_result *result)
{
    free(result->rows);
    *result = (struct control_result){0};
}

/* --- requests -------------------------------------------------------------------------------------------------------
 */

/* Close codes that an application may send (RFC 6455, 7.4). */
static bool is_close_code(uint64_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static enum err check_whom(const struct control_request *request, struct error *error)
{
    if ((request->user.len == 0) == (request->session_id.len == 0))
        return error_set(error, ERR_INVALID_REQUEST, "expected one of user and session_id, and not empty");
    return ERR_NONE;
}

static enum err check_channel(struct str channel, struct error *error)
{
    struct error why;
    if (channel_name_check(channel, &why))
        return error_set(error, ERR_INVALID_REQUEST, "channel: %s", why.text);
    return ERR_NONE;
}

static enum err check_closing(const struct control_request *request, struct error *error)
{
    if (request->code && !is_close_code(request->code))
        return error_set(error, ERR_INVALID_REQUEST,
                         "code: %llu is not a close code to send; use 1000-1003, 1007-1014 or 3000-4999",
                         (unsigned long long)request->code);
    if (request->reason.len && !request->code)
        return error_set(error, ERR_INVALID_REQUEST, "reason: needs a code too");
    if (request->reason.len > CONTROL_REASON_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "reason: up to %d bytes, this one has %zu", CONTROL_REASON_MAX,
                         request->reason.len);
    return ERR_NONE;
}

static enum err check_page(const struct control_request *request, struct error *error)
{
    if (request->limit < 1 || request->limit > CONTROL_PAGE_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "limit: expected 1 to %d, found %llu", CONTROL_PAGE_MAX,
                         (unsigned long long)request->limit);
    return ERR_NONE;
}

enum err control_check(const struct control_request *request, struct error *error)
{
    enum err err = ERR_NONE;
    switch (request->op) {
    case CONTROL_DISCONNECT: err = check_whom(request, error); return err ? err : check_closing(request, error);
    case CONTROL_SUBSCRIBE:
    case CONTROL_UNSUBSCRIBE:
        err = check_whom(request, error);
        return err ? err : check_channel(request->channel, error);
    case CONTROL_SESSIONS:
    case CONTROL_CHANNELS: return check_page(request, error);
    case CONTROL_CHANNEL: return check_channel(request->channel, error);
    case CONTROL_INFO: return ERR_NONE;
    case CONTROL_OP_COUNT: break;
    }
    return error_set(error, ERR_INVALID_REQUEST, "no such operation");
}

size_t control_request_room(const struct control_request *request)
{
    return request->user.len + request->session_id.len + request->channel.len + request->reason.len +
           request->after.len + request->prefix.len;
}

void control_request_copy(struct control_request *out, const struct control_request *request, char *room)
{
    *out = *request;
    out->user = keep(&room, request->user);
    out->session_id = keep(&room, request->session_id);
    out->channel = keep(&room, request->channel);
    out->reason = keep(&room, request->reason);
    out->after = keep(&room, request->after);
    out->prefix = keep(&room, request->prefix);
}
