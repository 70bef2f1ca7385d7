/* journal_filter.c - see journal_filter.h. */
#include "server/dev/journal_filter.h"

#include "common/protocol/channel_name.h"
#include "server/dev/dev_json.h"
#include "server/dev/json_match.h"

static enum err refuse_kind(struct str name, struct error *error)
{
    struct buf names = {0};
    char quoted[ERROR_QUOTE_LEN];
    for (int kind = 0; kind < JOURNAL_KINDS; kind++)
        buf_appendf(&names, "%s%s", kind ? ", " : "", journal_kind_text((enum journal_kind)kind));
    error_set(error, ERR_INVALID_REQUEST, "kind: %s is none; there are %s", error_quote(name, quoted),
              buf_cstr(&names));
    buf_fini(&names);
    return ERR_INVALID_REQUEST;
}

enum err journal_filter_kinds(struct str list, unsigned *out, struct error *error)
{
    *out = 0;
    while (list.ptr) {
        struct str name = str_trim(str_split(&list, ','));
        enum journal_kind kind = journal_kind_of(name);
        if (name.len && kind == JOURNAL_KINDS)
            return refuse_kind(name, error);
        if (name.len)
            *out |= 1u << kind;
    }
    return ERR_NONE;
}

/* Names of kinds have no escapes. */
static enum err add_kind(struct json_value value, unsigned *kinds, struct error *error)
{
    bool is_text = value.type == JSON_STRING;
    struct str name = is_text ? str_from(value.raw.ptr + 1, value.raw.len - 2) : value.raw;
    enum journal_kind kind = is_text ? journal_kind_of(name) : JOURNAL_KINDS;
    if (kind == JOURNAL_KINDS)
        return refuse_kind(name, error);
    *kinds |= 1u << kind;
    return ERR_NONE;
}

enum err journal_filter_kinds_of(struct json_value value, unsigned *out, struct error *error)
{
    struct json_cursor cursor = json_walk(value);
    struct str none;
    struct json_value item;
    enum err err = ERR_NONE;
    *out = 0;
    if (value.type != JSON_ARRAY)
        return add_kind(value, out, error);
    while (err == ERR_NONE && json_next(&cursor, &none, &item))
        err = add_kind(item, out, error);
    return err;
}

enum err journal_filter_read(struct json_value object, const char *where, struct journal_filter *out,
                             struct buf *scratch, struct error *error)
{
    struct json_value kind = {0}, texts[5] = {{0}}, code = {0};
    struct str *const targets[5] = {&out->session, &out->user, &out->channel, &out->rule, &out->text};
    *out = (struct journal_filter){0};
    const struct json_field fields[] = {{"kind", JSON_STRING | JSON_ARRAY, false, &kind},
                                        {"session", JSON_STRING, false, &texts[0]},
                                        {"user", JSON_STRING, false, &texts[1]},
                                        {"channel", JSON_STRING, false, &texts[2]},
                                        {"rule", JSON_STRING, false, &texts[3]},
                                        {"text", JSON_STRING, false, &texts[4]},
                                        {"code", JSON_NUMBER, false, &code},
                                        {"frame", JSON_ANY, false, &out->frame}};
    enum err err = dev_json_bind_object(object, where, fields, sizeof fields / sizeof *fields, error);
    /* Earlier texts stay where they are when later ones are added. */
    buf_reserve(scratch, object.raw.len);
    if (err == ERR_NONE && kind.type)
        err = journal_filter_kinds_of(kind, &out->kinds, error);
    if (err == ERR_NONE && kind.type && !out->kinds)
        err = error_set(error, ERR_INVALID_REQUEST, "%s: kind: an empty list matches nothing; leave kind out", where);
    for (size_t i = 0; i < 5 && err == ERR_NONE; i++)
        if (texts[i].type && !json_text(texts[i], scratch, targets[i]))
            err = error_set(error, ERR_INVALID_REQUEST, "%s: a text with \\u0000 matches nothing", where);
        else if (texts[i].type && err == ERR_NONE && targets[i]->len == 0)
            err =
                error_set(error, ERR_INVALID_REQUEST, "%s: an empty text matches nothing; leave the member out", where);
    out->has_code = code.type != 0;
    if (err == ERR_NONE && code.type && !json_u64(code, &out->code))
        err = error_set(error, ERR_INVALID_REQUEST, "code: expected a whole number");
    return err;
}

struct json_value journal_filter_frame(const struct journal_note *note)
{
    struct json_value frame = {0};
    if (note->binary || json_check(note->frame, NULL, &frame, NULL) != ERR_NONE)
        return (struct json_value){0};
    return frame;
}

bool journal_filter_takes_frame(const struct journal_filter *filter, struct json_value frame)
{
    return !filter->frame.type || (frame.type && json_matches(filter->frame, frame));
}

/* How many conditions the line does not meet, without that of the frame. */
static unsigned misses(const struct journal_filter *filter, const struct journal_note *note)
{
    unsigned count = 0;
    count += filter->kinds && !(filter->kinds >> note->kind & 1);
    count += filter->session.len && !str_eq(filter->session, note->session);
    count += filter->user.len && !str_eq(filter->user, note->user);
    count += filter->channel.len && !pattern_matches(filter->channel, note->channel, NULL, NULL);
    count += filter->rule.len && !str_eq(filter->rule, note->rule);
    count += filter->text.len && !str_eq(filter->text, note->text);
    count += filter->has_code && (note->code < 0 || filter->code != (uint64_t)note->code);
    return count;
}

bool journal_filter_takes_rest(const struct journal_filter *filter, const struct journal_note *note)
{
    return misses(filter, note) == 0;
}

static bool frame_matches(const struct journal_filter *filter, const struct journal_note *note)
{
    return !filter->frame.type || journal_filter_takes_frame(filter, journal_filter_frame(note));
}

bool journal_filter_takes(const struct journal_filter *filter, const struct journal_line *line)
{
    return misses(filter, &line->note) == 0 && frame_matches(filter, &line->note);
}

/* Would the filter take the line if one of its conditions were another one? */
static bool nearly_takes(const struct journal_filter *filter, const struct journal_line *line)
{
    unsigned count = misses(filter, &line->note);
    return count <= 1 && frame_matches(filter, &line->note) == (count == 1);
}

void journal_filter_append_nearest(const struct journal_filter *filter, const struct journal *journal, uint64_t after,
                                   struct buf *out)
{
    enum { NEAREST = 5 };
    struct journal_line nearest[NEAREST];
    size_t count = 0;
    for (struct journal_line line; journal_after(journal, after, &line); after = line.n)
        if (nearly_takes(filter, &line))
            nearest[count++ % NEAREST] = line;
    for (size_t i = count < NEAREST ? 0 : count - NEAREST; i < count; i++) {
        if (out->len)
            buf_append_char(out, ',');
        journal_print(out, &nearest[i % NEAREST]);
    }
}
