/* room_dialect.c - see room_dialect.h. */
#include "tests/unit/core/room_dialect.h"

#include "common/json/json.h"

static const struct {
    const char *word;
    enum command_type type;
} words[] = {
    {"enter", COMMAND_SUBSCRIBE},
    {"leave", COMMAND_UNSUBSCRIBE},
    {"say", COMMAND_PUBLISH},
    {"are_you_there", COMMAND_PING},
};

static struct str text_of(struct json_value value, struct buf *scratch)
{
    struct str text = STR("");
    return value.type && json_text(value, scratch, &text) ? text : STR("");
}

static enum err parse(struct str message, struct command *out, struct buf *scratch, struct error *error)
{
    struct json_value whole, what = {0}, room = {0}, body = {0}, last = {0}, since = {0}, ref = {0};
    const struct json_field fields[] = {{"do", JSON_STRING, true, &what},      {"room", JSON_STRING, false, &room},
                                        {"body", JSON_ANY, false, &body},      {"last", JSON_NUMBER, false, &last},
                                        {"since", JSON_STRING, false, &since}, {"ref", JSON_STRING, false, &ref}};
    *out = (struct command){0};
    buf_clear(scratch);
    buf_reserve(scratch, message.len);
    enum err err = json_check(message, NULL, &whole, error);
    if (!err)
        err = json_bind(whole, "", fields, sizeof fields / sizeof *fields, error);
    if (err)
        return err;
    out->id = ref.raw;
    out->channel = text_of(room, scratch);
    out->event_type = STR("note");
    out->data = body;
    out->has_last = last.type && json_u64(last, &out->last);
    out->has_since = since.type != 0;
    out->since.epoch = text_of(since, scratch);
    struct str word = text_of(what, scratch);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_eq_cstr(word, words[i].word)) {
            out->type = words[i].type;
            return ERR_NONE;
        }
    return error_set(error, ERR_INVALID_REQUEST, "do: expected enter, leave, say or are_you_there");
}

static void append_member(struct buf *out, const char *name, struct str json)
{
    if (json.len)
        buf_appendf(out, ",\"%s\":%.*s", name, STR_ARG(json));
}

static const char *word_for(enum reply_type type)
{
    switch (type) {
    case REPLY_SUBSCRIBED: return "entered";
    case REPLY_UNSUBSCRIBED: return "left";
    case REPLY_PONG: return "here";
    case REPLY_PUBLISHED: return "said";
    case REPLY_GAP: return "missed";
    default: return NULL;
    }
}

static void write_reply(struct buf *out, const struct reply *reply)
{
    const char *word = word_for(reply->type);
    if (reply->type == REPLY_ERROR) {
        buf_append_lit(out, "{\"oops\":");
        json_append_string(out, reply->error.message);
    } else if (word) {
        buf_appendf(out, "{\"ok\":\"%s\"", word);
        if (reply->channel.len)
            buf_appendf(out, ",\"room\":\"%.*s\"", STR_ARG(reply->channel));
    } else {
        return;
    }
    append_member(out, "ref", reply->id);
    buf_append_char(out, '}');
}

unsigned room_events_written;

static void write_event(struct buf *out, const struct event *event)
{
    room_events_written++;
    if (str_eq(event->type, STR("unspeakable")))
        return;
    buf_appendf(out, "{\"room\":\"%.*s\",\"body\":%.*s", STR_ARG(event->channel), STR_ARG(event->data));
    if (event->offset)
        buf_appendf(out, ",\"nr\":\"%.*s/%llu/%.*s\"", STR_ARG(event->epoch), (unsigned long long)event->offset,
                    STR_ARG(event->id));
    buf_append_char(out, '}');
}

const struct dialect room_dialect = {.parse = parse, .event = write_event, .reply = write_reply};
