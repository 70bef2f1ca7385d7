/* line_out.c - see line_out.h. */
#include "server/dev/line_out.h"

#include "server/dev/line_state.h"
#include "server/dev/out_frame.h"
#include "server/net/stream/stream.h"
#include "server/net/ws/ws.h"

static struct line *of(struct link_lane *lane)
{
    return CONTAINER_OF(lane, struct line, out);
}

static bool holds(const struct line *line)
{
    return !list_is_empty(&line->out.held) || line->out.pooled > 0;
}

/* --- to the stream ---------------------------------------------------------------------------------------------- */

static bool ready(struct link_lane *lane)
{
    const struct line *line = of(lane);
    return !line->broken && !stream_has_unsent(ws_stream(line->session));
}

static void write_now(struct line *line, struct str bytes)
{
    if (!line->broken && ws_transport_ops.write(line->session, bytes, &line->unsent) == WRITE_FAILED)
        line->broken = true;
}

static void note(struct line *line, const struct out_frame *frame)
{
    out_frame_note(line->set->journal, line->party, &line->set->newest, hub_wall_ms(line->set->hub), frame);
}

static void pass(struct link_lane *lane, const struct lane_item *item, size_t count)
{
    struct line *line = of(lane);
    const struct out_frame frame = {.opcode = item->opcode, .whole = item->bytes, .payload = item->payload};
    if (item->passed == 0 && !item->silent)
        note(line, &frame);
    write_now(line, str_from(item->bytes.ptr + item->passed, count));
}

static void moved(struct link_lane *lane)
{
    line_out_settle(of(lane));
}

static const struct lane_ops operations = {.ready = ready, .pass = pass, .moved = moved};

void line_out_init(struct line *line, struct wheel *wheel)
{
    lane_init(&line->out, &operations, wheel);
}

void line_out_fini(struct line *line)
{
    lane_fini(&line->out);
    wheel_stop(line->out.wheel, &line->late);
}

bool line_out_is_clear(const struct line *line)
{
    return lane_is_clear(&line->out) && !line->ended && !line->ending;
}

void line_out_pass(struct line *line, struct str frames)
{
    struct str rest = frames;
    while (rest.len > 0) {
        const struct out_frame frame = out_frame_take(&rest);
        note(line, &frame);
    }
    if (frames.len > 0)
        write_now(line, frames);
}

void line_out_put(struct line *line, const struct lane_item *item)
{
    if (!line->ended && !line->ending)
        lane_put(&line->out, item, line_now_us(line));
}

void line_out_message(struct line *line, struct str text)
{
    struct buf frame = {0};
    ws_framing.message(&frame, text);
    struct str rest = buf_str(&frame);
    const struct out_frame whole = out_frame_take(&rest);
    line_out_put(line, &(struct lane_item){.opcode = WS_TEXT, .bytes = whole.whole, .payload = whole.payload});
    buf_fini(&frame);
}

static void end_if_due(struct line *line)
{
    if (!line->ending || holds(line) || stream_has_unsent(ws_stream(line->session)))
        return;
    line->ending = false;
    line->ended = true;
    stream_end_output(ws_stream(line->session));
}

void line_out_end(struct line *line)
{
    line->ending = !line->ended;
    end_if_due(line);
}

/* --- to the hub ------------------------------------------------------------------------------------------------- */

/* More is held than a kernel would take without a word; or something is, and the connection is to end behind it. */
static bool is_full(const struct line *line)
{
    return line->unsent > 0 || line->out.bytes > LANE_BUFFER || (line->session->state != SESSION_OPEN && holds(line));
}

enum write_result line_out_result(struct line *line, uint32_t *out_unsent)
{
    size_t over = line->out.bytes > LANE_BUFFER ? line->out.bytes - LANE_BUFFER : 0;
    if (line->broken)
        return WRITE_FAILED;
    *out_unsent = line->unsent + (uint32_t)over;
    if (!is_full(line))
        return WRITE_ALL;
    line->hub_waits = true;
    return WRITE_PARTIAL;
}

static void finish_late(struct line *line)
{
    line->cut_late = false;
    wheel_stop(line->out.wheel, &line->late);
    ws_transport_ops.finish(line->session, true);
}

void line_out_settle(struct line *line)
{
    struct session *session = line->session;
    if (line->broken) {
        stream_cut(ws_stream(session));
        return;
    }
    end_if_due(line);
    if (line->cut_late && !line->out.frozen) {
        finish_late(line);
    } else if (line->hub_waits && !is_full(line)) {
        line->hub_waits = false;
        hub_writable(session->hub, session, 0);
    }
}

void line_out_writable(struct line *line)
{
    line->unsent = 0;
    lane_pump(&line->out, line_now_us(line));
    line_out_settle(line);
}

/* A server that ends does not wait for sleeping clients. */
static void look_late(struct timer *timer, uint64_t now_us)
{
    enum { LOOK_US = 50000 };
    struct line *line = CONTAINER_OF(timer, struct line, late);
    if (hub_is_draining(line->set->hub))
        finish_late(line);
    else
        wheel_start(line->out.wheel, timer, now_us + LOOK_US, look_late);
}

void line_out_finish(struct line *line, bool abrupt)
{
    if (!abrupt || !line->out.frozen || hub_is_draining(line->set->hub)) {
        ws_transport_ops.finish(line->session, abrupt);
        return;
    }
    line->cut_late = true;
    look_late(&line->late, line_now_us(line));
}
