/* survey_wire.c - see survey_wire.h. */
#include "server/node/survey_wire.h"

#include "common/base/alloc.h"
#include "common/json/json.h"
#include "common/token/base64url.h"

enum { WIRE_VERSION = 1 };

static const char *const op_names[CONTROL_OP_COUNT] = {
    [CONTROL_DISCONNECT] = "disconnect",
    [CONTROL_SUBSCRIBE] = "subscribe",
    [CONTROL_UNSUBSCRIBE] = "unsubscribe",
    [CONTROL_SEND] = "send",
    [CONTROL_SESSIONS] = "sessions",
    [CONTROL_SESSION] = "session",
    [CONTROL_CHANNELS] = "channels",
    [CONTROL_CHANNEL] = "channel",
    [CONTROL_INFO] = "info",
};

/* --- writing ---------------------------------------------------------------------------------------------------- */

static void write_text(struct buf *out, const char *name, struct str text)
{
    if (text.len == 0)
        return;
    buf_appendf(out, ",\"%s\":", name);
    json_append_string(out, text);
}

static void write_number(struct buf *out, const char *name, uint64_t number)
{
    if (number)
        buf_appendf(out, ",\"%s\":%llu", name, (unsigned long long)number);
}

void survey_write_question(struct buf *out, uint64_t id, const struct control_request *request)
{
    buf_appendf(out, "{\"v\":%d,\"ask\":%llu,\"op\":\"%s\"", WIRE_VERSION, (unsigned long long)id,
                op_names[request->op]);
    write_text(out, "user", request->user);
    write_text(out, "session_id", request->session_id);
    write_text(out, "channel", request->channel);
    write_text(out, "reason", request->reason);
    write_text(out, "after", request->after);
    write_text(out, "prefix", request->prefix);
    write_number(out, "code", request->code);
    write_number(out, "limit", request->limit);
    write_number(out, "binary", request->binary);
    if (request->message.len) {
        buf_append_lit(out, ",\"message\":\"");
        base64url_append(out, request->message);
        buf_append_char(out, '"');
    }
    buf_append_char(out, '}');
}

static void write_row(struct buf *out, const struct control_row *row)
{
    buf_append_lit(out, "{\"key\":");
    json_append_string(out, row->key);
    write_text(out, "user", row->user);
    write_text(out, "address", row->address);
    write_number(out, "connected_ms", row->connected_ms);
    write_number(out, "expires_ms", row->expires_ms);
    write_number(out, "channels", row->channels);
    write_number(out, "outbox_bytes", row->outbox_bytes);
    write_number(out, "subscribers", row->subscribers);
    write_text(out, "epoch", row->epoch);
    write_number(out, "offset", row->offset);
    write_number(out, "subscribed", row->subscribed);
    write_number(out, "recovering", row->recovering);
    buf_append_char(out, '}');
}

void survey_write_answer(struct buf *out, const struct survey_message *message)
{
    const struct control_result *result = &message->result;
    buf_appendf(out, "{\"v\":%d,\"answer\":%llu,\"count\":%llu,\"more\":%s,\"partial\":%s,\"rows\":[", WIRE_VERSION,
                (unsigned long long)message->id, (unsigned long long)result->count, result->more ? "true" : "false",
                message->partial ? "true" : "false");
    for (size_t i = 0; i < result->row_count; i++) {
        if (i)
            buf_append_char(out, ',');
        write_row(out, &result->rows[i]);
    }
    buf_append_char(out, ']');
    if (result->session) {
        buf_append_lit(out, ",\"session\":");
        write_row(out, result->session);
    }
    if (message->node.len) {
        buf_append_lit(out, ",\"node\":");
        buf_append(out, message->node);
    }
    buf_append_char(out, '}');
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* One member of the object, a text or a whole number, and where its value goes. An absent member changes nothing. */
struct member_target {
    const char *name;
    struct str *text;
    uint64_t *number;
};

enum { MEMBERS_MAX = 12 };

static enum err read_members(struct json_value object, const struct member_target *members, size_t count,
                             struct buf *scratch, struct error *error)
{
    struct json_field fields[MEMBERS_MAX];
    struct json_value values[MEMBERS_MAX] = {0};
    for (size_t i = 0; i < count; i++)
        fields[i] =
            (struct json_field){members[i].name, members[i].text ? JSON_STRING : JSON_NUMBER, false, &values[i]};
    enum err err = json_bind(object, "", fields, count, error);
    for (size_t i = 0; i < count && !err; i++) {
        if (!values[i].type)
            continue;
        if (members[i].text ? !json_text(values[i], scratch, members[i].text) : !json_u64(values[i], members[i].number))
            err = error_set(error, ERR_INVALID_REQUEST, "%s: not acceptable", members[i].name);
    }
    return err;
}

/* *out lies in scratch, which has room for the whole question. */
static enum err decode_message(struct str encoded, struct buf *scratch, struct str *out, struct error *error)
{
    size_t begin = scratch->len;
    if (!base64url_decode(encoded, scratch))
        return error_set(error, ERR_INVALID_REQUEST, "message: not base64url");
    *out = str_from(scratch->ptr + begin, scratch->len - begin);
    return ERR_NONE;
}

static enum err read_question(struct json_value object, struct str op, struct buf *scratch, struct survey_message *out,
                              struct error *error)
{
    struct control_request *request = &out->request;
    struct str message = STR("");
    uint64_t binary = 0;
    const struct member_target members[] = {
        {"user", &request->user, NULL},       {"session_id", &request->session_id, NULL},
        {"channel", &request->channel, NULL}, {"reason", &request->reason, NULL},
        {"after", &request->after, NULL},     {"prefix", &request->prefix, NULL},
        {"code", NULL, &request->code},       {"limit", NULL, &request->limit},
        {"message", &message, NULL},          {"binary", NULL, &binary},
    };
    int known = 0;
    while (known < CONTROL_OP_COUNT && !str_eq_cstr(op, op_names[known]))
        known++;
    request->op = (enum control_op)known;
    enum err err = read_members(object, members, sizeof members / sizeof *members, scratch, error);
    if (!err)
        err = decode_message(message, scratch, &request->message, error);
    request->binary = binary != 0;
    return err ? err : control_check(request, error);
}

static enum err read_row(struct json_value object, struct control_row *row, struct buf *scratch, struct error *error)
{
    const struct member_target members[] = {
        {"key", &row->key, NULL},
        {"user", &row->user, NULL},
        {"address", &row->address, NULL},
        {"connected_ms", NULL, &row->connected_ms},
        {"expires_ms", NULL, &row->expires_ms},
        {"channels", NULL, &row->channels},
        {"outbox_bytes", NULL, &row->outbox_bytes},
        {"subscribers", NULL, &row->subscribers},
        {"epoch", &row->epoch, NULL},
        {"offset", NULL, &row->offset},
        {"subscribed", NULL, &row->subscribed},
        {"recovering", NULL, &row->recovering},
    };
    enum err err = read_members(object, members, sizeof members / sizeof *members, scratch, error);
    if (!err && row->key.len == 0)
        err = error_set(error, ERR_INVALID_REQUEST, "key: missing");
    return err;
}

static enum err read_rows(struct json_value array, struct control_result *result, struct buf *scratch,
                          struct error *error)
{
    struct json_cursor cursor = json_walk(array);
    struct json_value object;
    struct str key;
    result->rows = xcalloc(CONTROL_PAGE_MAX, sizeof *result->rows);
    while (json_next(&cursor, &key, &object)) {
        if (result->row_count == CONTROL_PAGE_MAX)
            return error_set(error, ERR_INVALID_REQUEST, "rows: more than %d", CONTROL_PAGE_MAX);
        enum err err = read_row(object, &result->rows[result->row_count++], scratch, error);
        if (err)
            return err;
    }
    return ERR_NONE;
}

static bool is_true(struct json_value value)
{
    return str_eq(value.raw, STR("true"));
}

static enum err read_answer(struct json_value object, struct buf *scratch, struct survey_message *out,
                            struct error *error)
{
    struct json_value count = {0}, more = {0}, partial = {0}, rows = {0}, session = {0}, node = {0};
    const struct json_field fields[] = {
        {"count", JSON_NUMBER, true, &count},      {"more", JSON_BOOL, true, &more},
        {"partial", JSON_BOOL, true, &partial},    {"rows", JSON_ARRAY, true, &rows},
        {"session", JSON_OBJECT, false, &session}, {"node", JSON_OBJECT, false, &node},
    };
    enum err err = json_bind(object, "", fields, sizeof fields / sizeof *fields, error);
    if (err)
        return err;
    if (!json_u64(count, &out->result.count))
        return error_set(error, ERR_INVALID_REQUEST, "count: expected a whole number");
    out->result.more = is_true(more);
    out->partial = is_true(partial);
    out->node = node.raw;
    err = read_rows(rows, &out->result, scratch, error);
    if (!err && session.type) {
        out->result.session = xcalloc(1, sizeof *out->result.session);
        err = read_row(session, out->result.session, scratch, error);
    }
    if (err)
        control_result_fini(&out->result);
    return err;
}

enum err survey_read(struct str bytes, struct buf *scratch, struct survey_message *out, struct error *error)
{
    static const struct json_limits limits = {.depth = 8, .values = 20000};
    struct json_value object, version = {0}, ask = {0}, answer = {0}, op = {0};
    const struct json_field fields[] = {
        {"v", JSON_NUMBER, true, &version},
        {"ask", JSON_NUMBER, false, &ask},
        {"answer", JSON_NUMBER, false, &answer},
        {"op", JSON_STRING, false, &op},
    };
    uint64_t v = 0;
    struct survey_message message = {0};
    buf_clear(scratch);
    /* So that texts in it do not move: each text once without its escapes, and the message decoded beside it. */
    buf_reserve(scratch, 2 * bytes.len + BASE64URL_SPARE);
    enum err err = json_check(bytes, &limits, &object, error);
    if (!err)
        err = json_bind(object, "", fields, sizeof fields / sizeof *fields, error);
    if (err)
        return err;
    if (!json_u64(version, &v) || v != WIRE_VERSION)
        return error_set(error, ERR_INVALID_REQUEST, "v: version %.*s is not known here; all nodes must run it",
                         STR_ARG(version.raw));
    message.is_answer = answer.type != 0;
    if ((ask.type != 0) == message.is_answer || !json_u64(message.is_answer ? answer : ask, &message.id))
        return error_set(error, ERR_INVALID_REQUEST, "expected a number under one of ask and answer");
    struct str op_text = STR("");
    if (op.type)
        op_text = str_from(op.raw.ptr + 1, op.raw.len - 2);
    err = message.is_answer ? read_answer(object, scratch, &message, error)
                            : read_question(object, op_text, scratch, &message, error);
    if (!err)
        *out = message;
    return err;
}
