/* fault_action.c - see fault_action.h. */
#include "server/dev/fault_action.h"

#include "common/base/alloc.h"
#include "common/protocol/ws_frame.h"
#include "server/dev/dev_json.h"

enum fault_member {
#define FAULT_MEMBER(symbol, name, types, read) MEMBER_##symbol,
#include "server/dev/fault_actions.def"
#undef FAULT_MEMBER
    MEMBER_COUNT,
};

#define M(symbol) (1U << MEMBER_##symbol)

static const struct {
    const char *name;
    unsigned where;
    unsigned members;
    unsigned required;
} kinds[] = {
#define FAULT_ACTION(symbol, name, where, members, required) {name, where, members, required},
#include "server/dev/fault_actions.def"
#undef FAULT_ACTION
};

enum { SECOND_MS = 1000, TIMES_MAX = 100, WINDOW_MAX = 100, REORDER_MS = 1000 };
enum { CLOSE_REASON_MAX = WS_CONTROL_MAX - 2 };
static const uint64_t duration_max_ms = UINT64_C(24) * 3600 * SECOND_MS;
static const uint64_t speed_max = 1000000000;

unsigned fault_where(enum fault_kind kind)
{
    return kinds[kind].where;
}

/* --- its members ------------------------------------------------------------------------------------------------ */

static enum err read_time(struct json_value value, const char *name, uint64_t *out_us, struct error *error)
{
    uint64_t ms;
    enum err err = dev_json_duration(value, name, &ms, error);
    if (err)
        return err;
    if (ms > duration_max_ms)
        return error_set(error, ERR_INVALID_REQUEST, "%s: expected at most 24h", name);
    *out_us = ms * 1000;
    return ERR_NONE;
}

static enum err read_number(struct json_value value, const char *name, uint64_t min, uint64_t max, uint64_t *out,
                            struct error *error)
{
    uint64_t number;
    if (!json_u64(value, &number) || number < min || number > max)
        return error_set(error, ERR_INVALID_REQUEST, "%s: expected a whole number from %llu to %llu", name,
                         (unsigned long long)min, (unsigned long long)max);
    *out = number;
    return ERR_NONE;
}

static enum err read_string(struct json_value value, const char *name, struct buf *out, struct error *error)
{
    struct buf scratch = {0};
    struct str text;
    bool good = json_text(value, &scratch, &text);
    if (good)
        buf_append(out, text);
    buf_fini(&scratch);
    return good ? ERR_NONE : error_set(error, ERR_INVALID_REQUEST, "%s: must not contain \\u0000", name);
}

/* What stands between the quotes, of a word that needs no escapes. */
static struct str word_of(struct json_value value)
{
    return str_from(value.raw.ptr + 1, value.raw.len - 2);
}

static enum err read_close_code(struct json_value value, struct fault_action *action, struct error *error)
{
    uint64_t code;
    if (!json_u64(value, &code) || !close_code_may_be_sent(code))
        return error_set(error, ERR_INVALID_REQUEST,
                         "action.code: expected a code that a close frame may carry: 1000 to 1003, 1007 to 1014 or "
                         "3000 to 4999");
    action->code = (int)code;
    return ERR_NONE;
}

static enum err read_reason_text(struct json_value value, struct fault_action *action, struct error *error)
{
    enum err err = read_string(value, "action.reason", &action->text, error);
    if (!err && action->text.len > CLOSE_REASON_MAX)
        err = error_set(error, ERR_INVALID_REQUEST, "action.reason: a close frame has room for %d bytes, this has %zu",
                        CLOSE_REASON_MAX, action->text.len);
    return err;
}

static enum err read_for(struct json_value value, struct fault_action *action, struct error *error)
{
    return read_time(value, "action.for", &action->for_us, error);
}

static enum err read_side(struct json_value value, struct fault_action *action, struct error *error)
{
    struct str side = word_of(value);
    action->reads = str_eq(side, STR("read")) || str_eq(side, STR("both"));
    action->writes = str_eq(side, STR("write")) || str_eq(side, STR("both"));
    if (action->reads || action->writes)
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST,
                     "action.side: expected read (what the client sends), write (what goes to the client) or both");
}

static enum err read_by(struct json_value value, struct fault_action *action, struct error *error)
{
    return read_time(value, "action.by", &action->by_us, error);
}

static enum err read_jitter(struct json_value value, struct fault_action *action, struct error *error)
{
    return read_time(value, "action.jitter", &action->jitter_us, error);
}

static enum err read_copies(struct json_value value, struct fault_action *action, struct error *error)
{
    return read_number(value, "action.n", 1, TIMES_MAX, &action->copies, error);
}

static enum err read_window(struct json_value value, struct fault_action *action, struct error *error)
{
    return read_number(value, "action.window", 2, WINDOW_MAX, &action->window, error);
}

static enum err read_bytes(struct json_value value, struct fault_action *action, struct error *error)
{
    return read_number(value, "action.bytes", action->kind == FAULT_FRAGMENT ? 1 : 0, UINT32_MAX, &action->bytes,
                       error);
}

/* A text is the message itself, which need not be JSON. Any other value is a message as it stands. */
static enum err read_frame(struct json_value value, struct fault_action *action, struct error *error)
{
    if (value.type == JSON_STRING)
        return read_string(value, "action.frame", &action->frame, error);
    buf_append(&action->frame, value.raw);
    return ERR_NONE;
}

static enum err read_gap(struct json_value value, struct fault_action *action, struct error *error)
{
    struct buf names = {0};
    for (enum gap gap = GAP_NONE + 1; gap < GAP_COUNT; gap++) {
        if (json_key_is(word_of(value), str_from_cstr(gap_text(gap))))
            action->gap = gap;
        buf_appendf(&names, "%s%s", names.len ? ", " : "", gap_text(gap));
    }
    if (!action->gap)
        error_set(error, ERR_INVALID_REQUEST, "action.reason: expected one of %s", buf_cstr(&names));
    buf_fini(&names);
    return action->gap ? ERR_NONE : ERR_INVALID_REQUEST;
}

static enum err read_channel(struct json_value value, struct fault_action *action, struct error *error)
{
    return read_string(value, "action.channel", &action->channel, error);
}

static enum err read_status(struct json_value value, struct fault_action *action, struct error *error)
{
    uint64_t status = 0;
    enum err err = read_number(value, "action.status", 400, 599, &status, error);
    if (!err)
        action->status = (int)status;
    return err;
}

static enum err read_refusal(struct json_value value, struct fault_action *action, struct error *error)
{
    struct buf scratch = {0};
    struct str text = STR("");
    if (json_text(value, &scratch, &text))
        action->reason = reason_from_text(text);
    buf_fini(&scratch);
    if (action->reason)
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST,
                     "action.reason: expected a reason of docs/protocol.md (\"Refusals and closes\"), such as "
                     "token_expired");
}

static enum err read_retry_after(struct json_value value, struct fault_action *action, struct error *error)
{
    uint64_t us = 0;
    enum err err = read_time(value, "action.retry_after", &us, error);
    if (!err)
        action->retry_after_s = (us + 999999) / 1000000;
    return err;
}

static enum err read_speed(struct json_value value, struct fault_action *action, struct error *error)
{
    return read_number(value, "action.bytes_per_s", 0, speed_max, &action->bytes_per_s, error);
}

static enum err read_error_code(struct json_value value, struct fault_action *action, struct error *error)
{
    struct buf names = {0};
    action->error = ERR_NONE;
    for (enum err err = ERR_NONE + 1; err < ERR_COUNT; err++) {
        if (json_key_is(word_of(value), str_from_cstr(err_code(err))))
            action->error = err;
        buf_appendf(&names, "%s%s", names.len ? ", " : "", err_code(err));
    }
    if (!action->error)
        error_set(error, ERR_INVALID_REQUEST, "action.code: expected one of %s", buf_cstr(&names));
    buf_fini(&names);
    return action->error ? ERR_NONE : ERR_INVALID_REQUEST;
}

static enum err read_warn(struct json_value value, struct fault_action *action, struct error *error)
{
    (void)error;
    action->warn = str_eq(value.raw, STR("true"));
    return ERR_NONE;
}

static enum err read_after(struct json_value value, struct fault_action *action, struct error *error)
{
    uint64_t ms = 0;
    enum err err = read_number(value, "action.after_ms", 0, duration_max_ms, &ms, error);
    if (!err)
        action->after_us = ms * 1000;
    return err;
}

static const struct {
    const char *name;
    unsigned types;
    enum err (*read)(struct json_value value, struct fault_action *action, struct error *error);
} members[] = {
#define FAULT_MEMBER(symbol, name, types, read) {name, types, read},
#include "server/dev/fault_actions.def"
#undef FAULT_MEMBER
};

/* --- the whole -------------------------------------------------------------------------------------------------- */

static enum err read_kind(struct json_value object, enum fault_kind *out, struct error *error)
{
    struct json_value name = json_member(object, STR("do"));
    struct buf names = {0};
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        if (name.type == JSON_STRING && json_key_is(word_of(name), str_from_cstr(kinds[kind].name))) {
            *out = (enum fault_kind)kind;
            buf_fini(&names);
            return ERR_NONE;
        }
        buf_appendf(&names, "%s%s", names.len ? ", " : "", kinds[kind].name);
    }
    error_set(error, ERR_INVALID_REQUEST, "action.do: expected one of %s", buf_cstr(&names));
    buf_fini(&names);
    return ERR_INVALID_REQUEST;
}

static enum err read_members(struct json_value object, struct fault_action *action, struct error *error)
{
    struct json_value given[MEMBER_COUNT] = {0}, kind;
    struct json_field fields[MEMBER_COUNT + 1] = {{"do", JSON_STRING, true, &kind}};
    unsigned known = kinds[action->kind].members, required = kinds[action->kind].required;
    size_t count = 1;
    for (unsigned i = 0; i < MEMBER_COUNT; i++)
        if (known >> i & 1)
            fields[count++] = (struct json_field){members[i].name, members[i].types, required >> i & 1, &given[i]};
    enum err err = dev_json_bind_object(object, "action", fields, count, error);
    for (unsigned i = 0; i < MEMBER_COUNT && !err; i++) {
        if (!given[i].type)
            continue;
        err = members[i].read(given[i], action, error);
        if (given[i].type == JSON_OBJECT || given[i].type == JSON_ARRAY || i == MEMBER_FRAME)
            continue;
        struct str text = given[i].type == JSON_STRING ? word_of(given[i]) : given[i].raw;
        buf_appendf(&action->words, " %s ", members[i].name);
        buf_append(&action->words, text);
    }
    return err;
}

/* Members that say different things. */
static enum err check(const struct fault_action *action, struct error *error)
{
    if (action->kind == FAULT_REFUSE && action->status && action->code)
        return error_set(error, ERR_INVALID_REQUEST, "action: expected only one of status and code");
    if (action->kind == FAULT_REFUSE && !action->status && !action->code && !action->reason)
        return error_set(error, ERR_INVALID_REQUEST, "action: refuse needs a reason, a status or a code");
    if (action->kind == FAULT_REORDER && action->for_us == 0)
        return error_set(error, ERR_INVALID_REQUEST, "action.for: the messages wait for each other, so it cannot be 0");
    return ERR_NONE;
}

enum err fault_action_read(struct json_value object, struct fault_action **out, struct error *error)
{
    enum fault_kind kind;
    if (object.type != JSON_OBJECT)
        return error_set(error, ERR_INVALID_REQUEST, "action: expected an object such as {\"do\":\"reset\"}");
    enum err err = read_kind(object, &kind, error);
    if (err)
        return err;
    struct fault_action *action = xcalloc(1, sizeof *action);
    *action = (struct fault_action){.refs = 1,
                                    .kind = kind,
                                    .error = ERR_INTERNAL_ERROR,
                                    .reads = true,
                                    .writes = true,
                                    .for_us = kind == FAULT_REORDER ? REORDER_MS * 1000 : FAULT_FOREVER,
                                    .copies = 1,
                                    .window = 2};
    buf_append(&action->words, str_from_cstr(kinds[kind].name));
    err = read_members(object, action, error);
    if (!err)
        err = check(action, error);
    if (err) {
        fault_action_unref(action);
        return err;
    }
    buf_append(&action->json, object.raw);
    *out = action;
    return ERR_NONE;
}

struct fault_action *fault_action_ref(struct fault_action *action)
{
    action->refs++;
    return action;
}

void fault_action_unref(struct fault_action *action)
{
    if (--action->refs > 0)
        return;
    buf_fini(&action->text);
    buf_fini(&action->channel);
    buf_fini(&action->frame);
    buf_fini(&action->json);
    buf_fini(&action->words);
    free(action);
}
