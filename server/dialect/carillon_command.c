/* carillon_command.c - parses the commands of a client in Carillon's own dialect. See carillon.h. */
#include "common/json/json.h"
#include "server/dialect/carillon.h"

/* One parse: the command being filled, and the buffer for unescaped texts. */
struct parse {
    struct command *command;
    struct buf *scratch;
    struct error *error;
};

typedef enum err parse_members(const struct parse *parse, struct json_value data);

/* The text of a member, empty if the member is absent. */
static enum err text_of(const struct parse *parse, const char *name, struct json_value value, struct str *out)
{
    if (value.type && !json_text(value, parse->scratch, out))
        return error_set(parse->error, ERR_INVALID_REQUEST, "%s: must not contain \\u0000", name);
    return ERR_NONE;
}

/* A count or an offset. An absent member leaves both outputs as they are. */
static enum err whole_number_of(const struct parse *parse, const char *name, struct json_value value, bool *out_has,
                                uint64_t *out)
{
    if (!value.type)
        return ERR_NONE;
    if (!json_u64(value, out))
        return error_set(parse->error, ERR_INVALID_REQUEST, "%s: expected a whole number from 0 to 2^64-1", name);
    *out_has = true;
    return ERR_NONE;
}

/* The names of a position's members in errors. */
struct position_names {
    const char *whole, *epoch, *offset, *id;
};

static const struct position_names since_names = {"data.since", "data.since.epoch", "data.since.offset",
                                                  "data.since.id"};
static const struct position_names before_names = {"data.before", "data.before.epoch", "data.before.offset",
                                                   "data.before.id"};

/* A longer id cannot be that of an event with an offset. */
static enum err parse_position_id(const struct parse *parse, const char *name, struct json_value value, struct str *out)
{
    enum err err = text_of(parse, name, value, out);
    if (!err && value.type && (out->len > POSITION_ID_MAX || event_id_check(*out, NULL)))
        err = error_set(parse->error, ERR_INVALID_REQUEST,
                        "%s: expected the id of an event, 1 to %d printable ASCII characters", name, POSITION_ID_MAX);
    return err;
}

/* {"epoch":"...","offset":41}, with or without "id":"...". An absent position leaves the outputs as they are. */
static enum err parse_position(const struct parse *parse, const struct position_names *names, struct json_value value,
                               bool *out_has, struct position *out)
{
    struct json_value epoch = {0}, offset = {0}, id = {0};
    const struct json_field fields[] = {
        {"epoch", JSON_STRING, true, &epoch},
        {"offset", JSON_NUMBER, true, &offset},
        {"id", JSON_STRING, false, &id},
    };
    if (!value.type)
        return ERR_NONE;
    enum err err = json_bind_given(value, names->whole, fields, sizeof fields / sizeof *fields, parse->error);
    if (!err)
        err = text_of(parse, names->epoch, epoch, &out->epoch);
    if (!err)
        err = whole_number_of(parse, names->offset, offset, out_has, &out->offset);
    if (!err)
        err = parse_position_id(parse, names->id, id, &out->id);
    return err;
}

static enum err parse_since(const struct parse *parse, struct json_value value)
{
    struct command *command = parse->command;
    return parse_position(parse, &since_names, value, &command->has_since, &command->since);
}

static enum err parse_before(const struct parse *parse, struct json_value value)
{
    struct command *command = parse->command;
    return parse_position(parse, &before_names, value, &command->has_before, &command->before);
}

static enum err parse_channel(const struct parse *parse, struct json_value data)
{
    struct json_value channel = {0};
    const struct json_field fields[] = {{"channel", JSON_STRING, true, &channel}};
    enum err err = json_bind_given(data, "data", fields, 1, parse->error);
    return err ? err : text_of(parse, "data.channel", channel, &parse->command->channel);
}

static enum err parse_subscribe(const struct parse *parse, struct json_value data)
{
    struct command *command = parse->command;
    struct json_value channel = {0}, since = {0}, last = {0};
    const struct json_field fields[] = {
        {"channel", JSON_STRING, true, &channel},
        {"since", JSON_OBJECT, false, &since},
        {"last", JSON_NUMBER, false, &last},
    };
    enum err err = json_bind_given(data, "data", fields, 3, parse->error);
    if (!err)
        err = text_of(parse, "data.channel", channel, &command->channel);
    if (!err)
        err = parse_since(parse, since);
    if (!err)
        err = whole_number_of(parse, "data.last", last, &command->has_last, &command->last);
    if (!err && command->has_since && command->has_last)
        err = error_set(parse->error, ERR_INVALID_REQUEST, "data: expected only one of since and last");
    return err;
}

static enum err parse_publish(const struct parse *parse, struct json_value data)
{
    struct command *command = parse->command;
    struct json_value channel = {0}, type = {0}, event_data = {0}, event_id = {0}, echo = {0};
    const struct json_field fields[] = {
        {"channel", JSON_STRING, true, &channel}, {"type", JSON_STRING, true, &type},
        {"data", JSON_ANY, true, &event_data},    {"event_id", JSON_STRING, false, &event_id},
        {"echo", JSON_BOOL, false, &echo},
    };
    enum err err = json_bind_given(data, "data", fields, sizeof fields / sizeof *fields, parse->error);
    if (!err)
        err = text_of(parse, "data.channel", channel, &command->channel);
    if (!err)
        err = text_of(parse, "data.type", type, &command->event_type);
    if (!err)
        err = text_of(parse, "data.event_id", event_id, &command->event_id);
    command->has_event_id = event_id.type != 0;
    command->no_echo = echo.type && str_eq(echo.raw, STR("false"));
    command->data = event_data;
    return err;
}

static enum err parse_history(const struct parse *parse, struct json_value data)
{
    struct command *command = parse->command;
    struct json_value channel = {0}, since = {0}, before = {0}, limit = {0};
    const struct json_field fields[] = {
        {"channel", JSON_STRING, true, &channel},
        {"since", JSON_OBJECT, false, &since},
        {"before", JSON_OBJECT, false, &before},
        {"limit", JSON_NUMBER, false, &limit},
    };
    enum err err = json_bind_given(data, "data", fields, 4, parse->error);
    if (!err)
        err = text_of(parse, "data.channel", channel, &command->channel);
    if (!err)
        err = parse_since(parse, since);
    if (!err)
        err = parse_before(parse, before);
    if (!err)
        err = whole_number_of(parse, "data.limit", limit, &command->has_limit, &command->limit);
    if (!err && command->has_since && command->has_before)
        err = error_set(parse->error, ERR_INVALID_REQUEST, "data: expected only one of since and before");
    return err;
}

static enum err parse_presence(const struct parse *parse, struct json_value data)
{
    struct command *command = parse->command;
    struct json_value channel = {0}, after = {0}, limit = {0};
    const struct json_field fields[] = {
        {"channel", JSON_STRING, true, &channel},
        {"after", JSON_STRING, false, &after},
        {"limit", JSON_NUMBER, false, &limit},
    };
    enum err err = json_bind_given(data, "data", fields, 3, parse->error);
    if (!err)
        err = text_of(parse, "data.channel", channel, &command->channel);
    if (!err)
        err = text_of(parse, "data.after", after, &command->after);
    return err ? err : whole_number_of(parse, "data.limit", limit, &command->has_limit, &command->limit);
}

static enum err parse_refresh(const struct parse *parse, struct json_value data)
{
    struct json_value token = {0};
    const struct json_field fields[] = {{"token", JSON_STRING, true, &token}};
    enum err err = json_bind_given(data, "data", fields, 1, parse->error);
    return err ? err : text_of(parse, "data.token", token, &parse->command->token);
}

static enum err parse_ping(const struct parse *parse, struct json_value data)
{
    return data.type ? json_bind_given(data, "data", NULL, 0, parse->error) : ERR_NONE;
}

static const struct {
    bool needs_data;
    parse_members *parse;
} commands[COMMAND_TYPE_COUNT] = {
    [COMMAND_SUBSCRIBE] = {true, parse_subscribe}, [COMMAND_UNSUBSCRIBE] = {true, parse_channel},
    [COMMAND_PING] = {false, parse_ping},          [COMMAND_PUBLISH] = {true, parse_publish},
    [COMMAND_PRESENCE] = {true, parse_presence},   [COMMAND_HISTORY] = {true, parse_history},
    [COMMAND_REFRESH] = {true, parse_refresh},
};

static enum err type_of(const struct parse *parse, struct json_value type, enum command_type *out)
{
    struct str text = str_from(type.raw.ptr + 1, type.raw.len - 2);
    for (int i = COMMAND_NONE + 1; i < COMMAND_TYPE_COUNT; i++)
        if (json_key_is(text, str_from_cstr(command_name((enum command_type)i)))) {
            *out = (enum command_type)i;
            return ERR_NONE;
        }
    char quoted[ERROR_QUOTE_LEN];
    return error_set(parse->error, ERR_INVALID_REQUEST, "type: %s is not a command", error_quote(text, quoted));
}

/* Before all else, so that what is wrong elsewhere can be answered to the id. */
static enum err parse_id(const struct parse *parse, struct json_value message)
{
    int64_t number;
    uint64_t large;
    struct str text;
    struct json_value id = json_member(message, STR("id"));
    if (id.type == JSON_NULL) /* as if it were absent */
        return ERR_NONE;
    bool fine = !id.type || json_i64(id, &number) || json_u64(id, &large) ||
                (json_text(id, parse->scratch, &text) && text.len <= COMMAND_ID_MAX);
    if (!fine)
        return error_set(parse->error, ERR_INVALID_REQUEST,
                         "id: expected a string of up to %d bytes without \\u0000, or a 64-bit integer",
                         COMMAND_ID_MAX);
    parse->command->id = id.raw;
    return ERR_NONE;
}

enum err carillon_parse(struct str text, struct command *out, struct buf *scratch, struct error *error)
{
    struct parse parse = {out, scratch, error};
    struct json_value message, type = {0}, id = {0}, data = {0};
    const struct json_field fields[] = {
        {"type", JSON_STRING, true, &type},
        {"id", JSON_STRING | JSON_NUMBER, false, &id},
        {"data", JSON_ANY, false, &data},
    };
    *out = (struct command){0};
    buf_clear(scratch);
    /* The text's size is bounded already, and the depth that matters is that of an event's data (event_offer_check). */
    const struct json_limits limits = {.depth = JSON_DEPTH_MAX, .values = text.len + 1};
    enum err err = json_check(text, &limits, &message, error);
    if (err)
        return err;
    /* An unescaped text is shorter than its source. With this much room the buffer never grows, so no text in it moves.
     */
    if (memchr(text.ptr, '\\', text.len))
        buf_reserve(scratch, text.len);
    err = parse_id(&parse, message);
    if (!err)
        err = json_bind_given(message, "", fields, 3, error);
    enum command_type found = COMMAND_NONE;
    if (!err)
        err = type_of(&parse, type, &found);
    if (!err && commands[found].needs_data && !data.type)
        err = error_set(error, ERR_INVALID_REQUEST, "data: is missing; %s needs it", command_name(found));
    if (!err)
        err = commands[found].parse(&parse, data);
    if (!err)
        out->type = found;
    return err;
}
