/* out_frame.c - see out_frame.h. */
#include "server/dev/out_frame.h"

#include "common/json/json.h"
#include "common/protocol/event.h"
#include "server/dev/watch.h"

struct out_frame out_frame_take(struct str *bytes)
{
    const unsigned char *at = (const unsigned char *)bytes->ptr;
    size_t head = 2, len = at[1] & 0x7f;
    size_t wide = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (wide) {
        len = 0;
        for (size_t i = 0; i < wide; i++)
            len = len << 8 | at[head + i];
        head += wide;
    }
    const struct out_frame frame = {
        .opcode = at[0] & 0x0f, .whole = str_from(bytes->ptr, head + len), .payload = str_from(bytes->ptr + head, len)};
    *bytes = str_skip(*bytes, head + len);
    return frame;
}

/* What a text message to a client is, by its members: an event, the answer to a command, or anything else. */
static struct journal_note note_of_text(struct str text, struct buf *scratch)
{
    struct journal_note note = {.kind = JOURNAL_SENT, .frame = text};
    struct json_value object = json_value_of(text);
    if (object.type != JSON_OBJECT || json_check(text, NULL, &object, NULL) != ERR_NONE)
        return note;
    struct json_value channel = json_member(object, STR("channel")), type = json_member(object, STR("type"));
    if (channel.type == JSON_STRING)
        json_text(channel, scratch, &note.channel);
    struct str type_text = type.type == JSON_STRING ? str_from(type.raw.ptr + 1, type.raw.len - 2) : STR("");
    if (type_text.len && note.channel.len && !event_type_is_reserved(type_text))
        note.kind = JOURNAL_DELIVERED;
    else if (json_member(object, STR("id")).type)
        note.kind = JOURNAL_ANSWERED;
    return note;
}

void out_frame_note(struct journal *journal, const struct session *session, enum ws_opcode opcode, struct str payload)
{
    struct buf scratch = {0};
    switch (opcode) {
    case WS_TEXT: watch_note(journal, session, note_of_text(payload, &scratch)); break;
    case WS_BINARY:
        watch_note(journal, session, (struct journal_note){.kind = JOURNAL_SENT, .frame = payload, .binary = true});
        break;
    case WS_CLOSE: {
        struct journal_note note = {.kind = JOURNAL_CLOSING};
        if (payload.len >= 2) {
            note.code = (unsigned char)payload.ptr[0] << 8 | (unsigned char)payload.ptr[1];
            note.text = str_skip(payload, 2);
        }
        watch_note(journal, session, note);
        break;
    }
    case WS_PING:
    case WS_PONG: break;
    }
    buf_fini(&scratch);
}
