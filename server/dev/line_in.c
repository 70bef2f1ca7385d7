/* line_in.c - see line_in.h. */
#include "server/dev/line_in.h"

#include "server/dev/frame_facts.h"
#include "server/dev/line_state.h"
#include "server/dev/watch.h"
#include "server/net/stream/stream.h"
#include "server/net/ws/ws.h"

static struct line *of(struct link_lane *lane)
{
    return CONTAINER_OF(lane, struct line, in);
}

static bool ready(struct link_lane *lane)
{
    return !of(lane)->session->held;
}

/* With the channel that a rule sees, too. */
static void note(struct line *line, struct str payload, bool binary)
{
    struct frame_facts facts = {0};
    if (!binary)
        frame_facts_read(&facts, payload);
    watch_note(
        line->set->journal, line->session,
        (struct journal_note){.kind = JOURNAL_RECEIVED, .channel = facts.channel, .frame = payload, .binary = binary});
    frame_facts_fini(&facts);
}

/* As line.c has written it. */
static int code_of(struct str bytes)
{
    return (unsigned char)bytes.ptr[0] << 8 | (unsigned char)bytes.ptr[1];
}

/* The hub gets whole messages only. */
static void pass(struct link_lane *lane, const struct lane_item *item, size_t count)
{
    struct line *line = of(lane);
    struct session *session = line->session;
    if (item->passed + count < item->bytes.len || session->state != SESSION_OPEN)
        return;
    switch (item->opcode) {
    case WS_TEXT:
        note(line, item->bytes, false);
        ws_transport_ops.receive(session->hub, session, item->bytes);
        break;
    case WS_BINARY:
        note(line, item->bytes, true);
        ws_transport_ops.receive_binary(session->hub, session, item->bytes);
        break;
    case WS_PING: ws_transport_ops.ping(session->hub, session, item->bytes); break;
    case WS_PONG: ws_transport_ops.pong(session->hub, session); break;
    case WS_CLOSE:
        ws_transport_ops.closed(session->hub, session, code_of(item->bytes), str_skip(item->bytes, 2));
        break;
    }
}

static void moved(struct link_lane *lane)
{
    line_in_settle(of(lane));
}

static const struct lane_ops operations = {.ready = ready, .pass = pass, .moved = moved};

void line_in_init(struct line *line, struct wheel *wheel)
{
    lane_init(&line->in, &operations, wheel);
}

void line_in_fini(struct line *line)
{
    lane_fini(&line->in);
}

void line_in_put(struct line *line, enum ws_opcode opcode, struct str payload, uint64_t due_us)
{
    const struct lane_item item = {.opcode = opcode, .bytes = payload, .due_us = due_us};
    lane_put(&line->in, &item, line_now_us(line));
    line_in_settle(line);
}

/* The hub may not be called from here: what is held goes to it in the next tick. */
void line_in_hold(struct line *line, bool hold)
{
    line->hub_holds = hold;
    line_in_settle(line);
    if (!hold)
        lane_wake(&line->in, line_now_us(line));
}

void line_in_settle(struct line *line)
{
    bool wanted = !line->hub_holds && !line->in.frozen && line->in.bytes <= LANE_BUFFER;
    stream_want_input(ws_stream(line->session), wanted);
}
