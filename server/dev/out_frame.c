/* out_frame.c - see out_frame.h. */
#include "server/dev/out_frame.h"

#include "common/json/json.h"
#include "common/protocol/event.h"

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
static enum journal_kind kind_of(struct str text, struct buf *channel_out)
{
    struct json_value object = json_value_of(text);
    struct str channel_text = STR("");
    if (object.type != JSON_OBJECT || json_check(text, NULL, &object, NULL) != ERR_NONE)
        return JOURNAL_SENT;
    struct json_value channel = json_member(object, STR("channel")), type = json_member(object, STR("type"));
    struct buf scratch = {0};
    if (channel.type == JSON_STRING)
        json_text(channel, &scratch, &channel_text);
    buf_append(channel_out, channel_text);
    buf_fini(&scratch);
    struct str type_text = type.type == JSON_STRING ? str_from(type.raw.ptr + 1, type.raw.len - 2) : STR("");
    if (type_text.len && channel_out->len && !event_type_is_reserved(type_text))
        return JOURNAL_DELIVERED;
    return json_member(object, STR("id")).type ? JOURNAL_ANSWERED : JOURNAL_SENT;
}

static void keep_text(struct out_text *newest, struct str text)
{
    struct buf channel = {0};
    enum journal_kind kind = kind_of(text, &channel);
    journal_body_unref(newest->body);
    newest->body =
        journal_body_create(&(struct journal_note){.kind = kind, .channel = buf_str(&channel), .frame = text});
    buf_fini(&channel);
}

void out_text_fini(struct out_text *newest)
{
    journal_body_unref(newest->body);
}

static void note_as(struct journal *journal, struct journal_party *party, uint64_t at_ms,
                    const struct journal_note *note)
{
    struct journal_body *body = journal_body_create(note);
    journal_add_of(journal, at_ms, party, body);
    journal_body_unref(body);
}

static void note_close(struct journal *journal, struct journal_party *party, uint64_t at_ms, struct str payload)
{
    struct journal_note note = {.kind = JOURNAL_CLOSING};
    if (payload.len >= 2) {
        note.code = (unsigned char)payload.ptr[0] << 8 | (unsigned char)payload.ptr[1];
        note.text = str_skip(payload, 2);
    }
    note_as(journal, party, at_ms, &note);
}

static void note_binary(struct journal *journal, struct journal_party *party, uint64_t at_ms, struct str payload)
{
    note_as(journal, party, at_ms, &(struct journal_note){.kind = JOURNAL_SENT, .frame = payload, .binary = true});
}

void out_frame_note(struct journal *journal, struct journal_party *party, struct out_text *newest, uint64_t at_ms,
                    const struct out_frame *frame)
{
    switch (frame->opcode) {
    case WS_TEXT:
        if (!newest->body || !str_eq(newest->body->note.frame, frame->payload))
            keep_text(newest, frame->payload);
        journal_add_of(journal, at_ms, party, newest->body);
        return;
    case WS_BINARY: note_binary(journal, party, at_ms, frame->payload); return;
    case WS_CLOSE: note_close(journal, party, at_ms, frame->payload); return;
    default: return;
    }
}
