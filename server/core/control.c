/* control.c - see control.h. */
#include "server/core/control.h"

#include <assert.h>

#include "common/base/alloc.h"

/* --- rows --------------------------------------------------------------------------------------------------------- */

/* One allocation with all texts; NULL for no rows. */
static struct control_row *copy_rows(const struct control_row *rows, size_t count)
{
    size_t texts = 0;
    for (size_t i = 0; i < count; i++)
        texts += rows[i].key.len + rows[i].user.len + rows[i].address.len + rows[i].node.len + rows[i].epoch.len;
    if (!count)
        return NULL;
    struct control_row *copy = xmalloc(count * sizeof *copy + texts);
    char *at = (char *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        copy[i] = rows[i];
        copy[i].key = str_pack(&at, rows[i].key);
        copy[i].user = str_pack(&at, rows[i].user);
        copy[i].address = str_pack(&at, rows[i].address);
        copy[i].node = str_pack(&at, rows[i].node);
        copy[i].epoch = str_pack(&at, rows[i].epoch);
    }
    return copy;
}

/* Replaces the result's rows by copies. */
static void set_rows(struct control_result *result, const struct control_row *rows, size_t count)
{
    struct control_row *copy = copy_rows(rows, count);
    free(result->rows); /* only now: the new rows may borrow from it */
    result->rows = copy;
    result->row_count = count;
}

static int compare_rows(const void *a, const void *b)
{
    return str_compare(((const struct control_row *)a)->key, ((const struct control_row *)b)->key);
}

void control_result_append(struct control_result *result, const struct control_row *rows, size_t count)
{
    if (!count)
        return;
    struct control_row *all = xmalloc((result->row_count + count) * sizeof *all);
    if (result->row_count)
        memcpy(all, result->rows, result->row_count * sizeof *all);
    memcpy(all + result->row_count, rows, count * sizeof *all);
    set_rows(result, all, result->row_count + count);
    free(all);
}

void control_result_set_session(struct control_result *result, const struct control_row *session)
{
    assert(!result->session);
    result->session = copy_rows(session, 1);
}

/* --- answers of several ---------------------------------------------------------------------------------------- */

/* Rows of the same key become one row. Their numbers are added up. */
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
    if (from->session && !into->session)
        control_result_set_session(into, from->session);
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
    free(result->session);
    *result = (struct control_result){0};
}

/* --- requests -------------------------------------------------------------------------------------------------- */

static enum err check_whom(const struct control_request *request, struct error *error)
{
    if ((request->user.len == 0) == (request->session_id.len == 0))
        return error_set(error, ERR_INVALID_REQUEST, "expected one of user and session_id, and not empty");
    return ERR_NONE;
}

static enum err check_message(const struct control_request *request, struct error *error)
{
    int given = (request->user.len > 0) + (request->session_id.len > 0) + (request->channel.len > 0);
    if (given != 1)
        return error_set(error, ERR_INVALID_REQUEST, "expected one of session_id, user and channel, and not empty");
    if (!request->binary && !str_is_utf8(request->message))
        return error_set(error, ERR_INVALID_REQUEST, "the text is not UTF-8; send it as binary");
    return request->channel.len ? channel_check(request->channel, error) : ERR_NONE;
}

static enum err check_closing(const struct control_request *request, struct error *error)
{
    if (request->code && !close_code_may_be_sent(request->code))
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

static enum err check_session_page(const struct control_request *request, struct error *error)
{
    if (request->session_id.len == 0)
        return error_set(error, ERR_INVALID_REQUEST, "session_id: missing");
    return check_page(request, error);
}

enum err control_check(const struct control_request *request, struct error *error)
{
    enum err err = ERR_NONE;
    switch (request->op) {
    case CONTROL_DISCONNECT: err = check_whom(request, error); return err ? err : check_closing(request, error);
    case CONTROL_SUBSCRIBE:
    case CONTROL_UNSUBSCRIBE:
        err = check_whom(request, error);
        return err ? err : channel_check(request->channel, error);
    case CONTROL_SEND: return check_message(request, error);
    case CONTROL_SESSIONS:
    case CONTROL_CHANNELS: return check_page(request, error);
    case CONTROL_SESSION: return check_session_page(request, error);
    case CONTROL_CHANNEL: return channel_check(request->channel, error);
    case CONTROL_INFO: return ERR_NONE;
    case CONTROL_OP_COUNT: break;
    }
    return error_set(error, ERR_INVALID_REQUEST, "no such operation");
}

size_t control_request_room(const struct control_request *request)
{
    return request->user.len + request->session_id.len + request->channel.len + request->reason.len +
           request->after.len + request->prefix.len + request->message.len;
}

void control_request_copy(struct control_request *out, const struct control_request *request, char *room)
{
    *out = *request;
    out->user = str_pack(&room, request->user);
    out->session_id = str_pack(&room, request->session_id);
    out->channel = str_pack(&room, request->channel);
    out->reason = str_pack(&room, request->reason);
    out->after = str_pack(&room, request->after);
    out->prefix = str_pack(&room, request->prefix);
    out->message = str_pack(&room, request->message);
}
