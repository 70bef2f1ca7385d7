/* line.c - see line.h. */
#include "server/dev/line.h"

#include "common/json/json.h"
#include "common/protocol/event.h"
#include "common/protocol/ws_frame.h"
#include "server/dev/watch.h"
#include "server/net/ws/ws.h"

/* The lines that have this table as a member. Tables are const only for those who call by them. */
static struct line_set *lines_with(const void *table, size_t offset)
{
    return (struct line_set *)((uintptr_t)table - offset);
}

static struct line_set *lines_of(const struct session *session)
{
    return lines_with(session->ops, offsetof(struct line_set, ops));
}

/* --- out -------------------------------------------------------------------------------------------------------- */

/* One frame of a server: not masked, never fragmented (common/protocol/ws_frame.h). */
struct out_frame {
    enum ws_opcode opcode;
    struct str whole;
    struct str payload;
};

/* Takes the first frame from *bytes, which has whole frames. */
static struct out_frame take_frame(struct str *bytes)
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

static void note_frame(struct session *session, const struct out_frame *frame)
{
    struct journal *journal = lines_of(session)->journal;
    struct buf scratch = {0};
    switch (frame->opcode) {
    case WS_TEXT: watch_note(journal, session, note_of_text(frame->payload, &scratch)); break;
    case WS_BINARY:
        watch_note(journal, session,
                   (struct journal_note){.kind = JOURNAL_SENT, .frame = frame->payload, .binary = true});
        break;
    case WS_CLOSE: {
        struct journal_note note = {.kind = JOURNAL_CLOSING};
        if (frame->payload.len >= 2) {
            note.code = (unsigned char)frame->payload.ptr[0] << 8 | (unsigned char)frame->payload.ptr[1];
            note.text = str_skip(frame->payload, 2);
        }
        watch_note(journal, session, note);
        break;
    }
    case WS_PING:
    case WS_PONG: break; /* liveness, and no message */
    }
    buf_fini(&scratch);
}

static enum write_result write_frames(struct session *session, struct str frames, uint32_t *out_unsent)
{
    struct str rest = frames;
    while (rest.len > 0) {
        const struct out_frame frame = take_frame(&rest);
        note_frame(session, &frame);
    }
    return ws_transport_ops.write(session, frames, out_unsent);
}

/* --- in --------------------------------------------------------------------------------------------------------- */

static void receive(struct hub *hub, struct session *session, struct str text)
{
    watch_note(lines_of(session)->journal, session, (struct journal_note){.kind = JOURNAL_RECEIVED, .frame = text});
    ws_transport_ops.receive(hub, session, text);
}

static void receive_binary(struct hub *hub, struct session *session, struct str bytes)
{
    watch_note(lines_of(session)->journal, session,
               (struct journal_note){.kind = JOURNAL_RECEIVED, .frame = bytes, .binary = true});
    ws_transport_ops.receive_binary(hub, session, bytes);
}

/* --- the transport -------------------------------------------------------------------------------------------------
 */

static void open_session(struct stream *stream, const struct net_start *start, struct str answer, struct str rest)
{
    const struct net_endpoint *endpoint = net_endpoint_of(start->session.endpoint);
    struct net_start behind = *start;
    behind.session.ops = &lines_with(endpoint->transport, offsetof(struct line_set, transport))->ops;
    ws_transport.open(stream, &behind, answer, rest);
}

void lines_init(struct line_set *lines, struct journal *journal)
{
    lines->transport = ws_transport;
    lines->transport.open = open_session;
    lines->ops = ws_transport_ops;
    lines->ops.write = write_frames;
    lines->ops.receive = receive;
    lines->ops.receive_binary = receive_binary;
    lines->journal = journal;
}
