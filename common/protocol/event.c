/* event.c - see event.h. */
#include "common/protocol/event.h"

#include <assert.h>

#include "common/base/random.h"
#include "common/json/json.h"

enum { BUILTIN_MEMBERS_MAX = 3 };

/* The built-in event types and what their data must have: strings all. words: the texts that are allowed, any if NULL.
 */
static const struct builtin {
    const char *type;
    struct {
        const char *name;
        bool required;
        const char *words;
    } members[BUILTIN_MEMBERS_MAX];
} builtins[] = {
    {"notification", {{"message", true, NULL}, {"level", false, "info, success, warning, error"}}},
    {"chat_message", {{"conversation_id", true, NULL}, {"sender_id", true, NULL}, {"content", true, NULL}}},
    {"status_update", {{"entity_type", true, NULL}, {"entity_id", true, NULL}, {"status", true, NULL}}},
};

static const char *const reserved[] = {
#define RESERVED(type) type,
#include "common/protocol/reserved.def"
#undef RESERVED
};

bool event_type_is_reserved(struct str type)
{
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (str_eq_cstr(type, reserved[i]))
            return true;
    return false;
}

static const struct builtin *find_builtin(struct str type)
{
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
        if (str_eq_cstr(type, builtins[i].type))
            return &builtins[i];
    return NULL;
}

static bool is_well_formed(struct str type)
{
    if (type.len == 0 || type.len > EVENT_TYPE_MAX || type.ptr[0] < 'a' || type.ptr[0] > 'z')
        return false;
    for (size_t i = 0; i < type.len; i++) {
        char c = type.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
            return false;
    }
    return true;
}

/* value is absent, or a string. */
static enum err check_word(struct json_value value, const char *name, const char *words, struct error *error)
{
    if (!words || !value.type)
        return ERR_NONE;
    struct str text = str_from(value.raw.ptr + 1, value.raw.len - 2);
    struct str rest = str_from_cstr(words);
    while (rest.ptr)
        if (json_key_is(text, str_trim(str_split(&rest, ','))))
            return ERR_NONE;
    char quoted[ERROR_QUOTE_LEN];
    return error_set(error, ERR_INVALID_REQUEST, "data.%s: expected one of %s; found %s", name, words,
                     error_quote(text, quoted));
}

static enum err check_members(const struct builtin *builtin, struct json_value data, struct error *error)
{
    struct json_field fields[BUILTIN_MEMBERS_MAX];
    struct json_value values[BUILTIN_MEMBERS_MAX] = {0};
    size_t count = 0;
    for (; count < BUILTIN_MEMBERS_MAX && builtin->members[count].name; count++)
        fields[count] = (struct json_field){builtin->members[count].name, JSON_STRING, builtin->members[count].required,
                                            &values[count]};
    enum err err = json_bind(data, "data", fields, count, error);
    for (size_t i = 0; i < count && !err; i++)
        err = check_word(values[i], builtin->members[i].name, builtin->members[i].words, error);
    return err;
}

enum err event_check(struct str type, struct str data, bool custom, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (!is_well_formed(type))
        return error_set(error, ERR_INVALID_REQUEST,
                         "type: event types are a-z, then up to %d of a-z, 0-9, '_', '.' and '-', found %s",
                         EVENT_TYPE_MAX - 1, error_quote(type, quoted));
    if (event_type_is_reserved(type))
        return error_set(error, ERR_INVALID_REQUEST, "type: %s is reserved for the protocol itself",
                         error_quote(type, quoted));
    const struct builtin *builtin = find_builtin(type);
    if (builtin)
        return check_members(builtin, json_value_of(data), error);
    if (!custom)
        return error_set(error, ERR_INVALID_REQUEST,
                         "type: %s is not a built-in event type, and others are turned off here (events.custom)",
                         error_quote(type, quoted));
    return ERR_NONE;
}

enum err event_offer_check(const struct event_offer *offer, const struct event_limits *limits, struct error *error)
{
    if (offer->data.raw.len > limits->data_bytes)
        return error_set(error, ERR_TOO_LARGE, "data: %zu bytes, at most %zu are allowed (limits.event_bytes)",
                         offer->data.raw.len, limits->data_bytes);
    if (offer->data.depth > EVENT_DEPTH_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "data: arrays and objects nested %u deep, at most %d are allowed",
                         offer->data.depth, EVENT_DEPTH_MAX);
    if (offer->exclude.ptr && !session_id_is_formed(offer->exclude))
        return error_set(error, ERR_INVALID_REQUEST,
                         "exclude_session: expected the id of a session, as session_init tells it");
    enum err err = offer->has_event_id ? event_id_check(offer->event_id, error) : ERR_NONE;
    return err ? err : event_check(offer->type, offer->data.raw, limits->custom, error);
}

enum err event_id_check(struct str event_id, struct error *error)
{
    if (event_id.len == 0 || event_id.len > EVENT_ID_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "event_id: expected 1 to %d bytes, found %zu", EVENT_ID_MAX,
                         event_id.len);
    for (size_t i = 0; i < event_id.len; i++)
        if (event_id.ptr[i] <= ' ' || event_id.ptr[i] > '~')
            return error_set(error, ERR_INVALID_REQUEST,
                             "event_id: byte %zu is not a printable ASCII character other than space", i);
    return ERR_NONE;
}

bool session_id_is_formed(struct str session_id)
{
    if (session_id.len != UUID_LEN)
        return false;
    for (size_t i = 0; i < session_id.len; i++) {
        char c = session_id.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-'))
            return false;
    }
    return true;
}

void event_encode(struct buf *out, const struct event *event)
{
    buf_reserve(out, event->data.len + event->channel.len + 256);
    buf_append_lit(out, "{\"type\":\""); /* neither type nor timestamp has anything to escape */
    buf_append(out, event->type);
    buf_append_lit(out, "\",\"channel\":");
    json_append_string(out, event->channel);
    if (event->id.len) {
        buf_append_lit(out, ",\"id\":");
        json_append_string(out, event->id);
    }
    if (event->offset) {
        buf_append_lit(out, ",\"offset\":");
        buf_append_u64(out, event->offset);
    }
    buf_append_lit(out, ",\"timestamp\":\"");
    buf_append(out, event->timestamp);
    buf_append_char(out, '"');
    if (event->user.len) {
        buf_append_lit(out, ",\"user\":");
        json_append_string(out, event->user);
    }
    if (event->session.len) {
        buf_append_lit(out, ",\"session\":");
        json_append_string(out, event->session);
    }
    buf_append_lit(out, ",\"data\":");
    buf_append(out, event->data);
    buf_append_char(out, '}');
}

/* The text of a string. An absent one is empty, and no event has one with \u0000. */
static struct str text_of(struct json_value string, struct buf *scratch)
{
    struct str text;
    return string.type && json_text(string, scratch, &text) ? text : STR("");
}

void event_decode(struct str json, struct buf *scratch, struct event *out)
{
    struct json_value type = {0}, channel = {0}, id = {0}, offset = {0}, timestamp = {0}, user = {0}, session = {0},
                      data = {0};
    const struct json_field fields[] = {
        {"type", JSON_STRING, true, &type},
        {"channel", JSON_STRING, true, &channel},
        {"id", JSON_STRING, false, &id},
        {"offset", JSON_NUMBER, false, &offset},
        {"timestamp", JSON_STRING, true, &timestamp},
        {"user", JSON_STRING, false, &user},
        {"session", JSON_STRING, false, &session},
        {"data", JSON_ANY, true, &data},
    };
    enum err err = json_bind(json_value_of(json), "", fields, sizeof fields / sizeof *fields, NULL);
    assert(err == ERR_NONE);
    (void)err;
    buf_clear(scratch);
    buf_reserve(scratch, json.len);
    *out = (struct event){
        .channel = text_of(channel, scratch),
        .type = text_of(type, scratch),
        .id = text_of(id, scratch),
        .epoch = STR(""),
        .timestamp = text_of(timestamp, scratch),
        .user = text_of(user, scratch),
        .session = text_of(session, scratch),
        .exclude = STR(""),
        .data = data.raw,
    };
    if (offset.type)
        json_u64(offset, &out->offset);
}

/* Up to the quote that ends a string whose first byte this is; NULL without one. */
static const char *end_of_string(const char *at, const char *end)
{
    while (at < end && *at != '"')
        at += *at == '\\' ? 2 : 1;
    return at < end ? at : NULL;
}

/* Of an object's first member or one after a comma: true, and *at behind it, when it has that name and is a string. */
static bool skip_to_value(const char **at, const char *end, struct str opening)
{
    if (!str_starts_with(str_from(*at, (size_t)(end - *at)), opening))
        return false;
    *at += opening.len;
    return true;
}

struct str event_encoded_id(struct str json)
{
    const char *at = json.ptr, *end = json.ptr + json.len;
    if (!skip_to_value(&at, end, STR("{\"type\":\"")) || !(at = end_of_string(at, end)) ||
        !skip_to_value(&at, end, STR("\",\"channel\":\"")) || !(at = end_of_string(at, end)) ||
        !skip_to_value(&at, end, STR("\",\"id\":\"")))
        return STR("");
    const char *id_end = end_of_string(at, end);
    struct str id = id_end ? str_from(at, (size_t)(id_end - at)) : STR("");
    return id.len && memchr(id.ptr, '\\', id.len) ? STR("") : id;
}

void position_keep_id(char out[POSITION_ID_MAX + 1], struct str id)
{
    size_t len = id.len <= POSITION_ID_MAX ? id.len : 0;
    if (len)
        memcpy(out, id.ptr, len);
    out[len] = '\0';
}
