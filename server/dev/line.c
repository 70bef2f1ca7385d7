/* line.c - see line.h. Here: the table of functions of a session's transport, and the life of its line. */
#include "server/dev/line.h"

#include "common/base/alloc.h"
#include "server/dev/line_in.h"
#include "server/dev/line_messages.h"
#include "server/dev/line_out.h"
#include "server/dev/line_step.h"
#include "server/net/ws/ws.h"

/* --- out -------------------------------------------------------------------------------------------------------- */

/* Frames that nothing happens to pass together, as they came. */
static enum write_result write_frames(struct session *session, struct str frames, uint32_t *out_unsent)
{
    struct line *line = line_of(session);
    struct str rest = frames, run = str_from(frames.ptr, 0);
    bool watched = line_messages_are_watched(line);
    if (!watched && line_out_is_clear(line)) {
        line_out_pass(line, frames);
        return line_out_result(line, out_unsent);
    }
    while (rest.len > 0) {
        struct fault_verdict verdict = {0};
        const struct out_frame frame = out_frame_take(&rest);
        if (watched)
            line_messages_match(line, &frame, &verdict);
        if (!verdict.rule && !verdict.lost && line_out_is_clear(line)) {
            run.len += frame.whole.len;
        } else {
            line_out_pass(line, run);
            line_messages_send(line, &frame, &verdict);
            run = str_from(rest.ptr, 0);
        }
        frame_facts_fini(&verdict.facts);
    }
    line_out_pass(line, run);
    return line_out_result(line, out_unsent);
}

static void finish(struct session *session, bool abrupt)
{
    line_out_finish(line_of(session), abrupt);
}

static void writable(struct hub *hub, struct session *session, uint32_t unsent)
{
    (void)hub;
    (void)unsent;
    line_out_writable(line_of(session));
}

/* --- in --------------------------------------------------------------------------------------------------------- */

static void receive(struct hub *hub, struct session *session, struct str text)
{
    (void)hub;
    line_messages_take(line_of(session), WS_TEXT, text);
}

static void receive_binary(struct hub *hub, struct session *session, struct str bytes)
{
    (void)hub;
    line_messages_take(line_of(session), WS_BINARY, bytes);
}

static void ping(struct hub *hub, struct session *session, struct str payload)
{
    (void)hub;
    line_in_put(line_of(session), WS_PING, payload, 0);
}

static void pong(struct hub *hub, struct session *session)
{
    (void)hub;
    line_in_put(line_of(session), WS_PONG, STR(""), 0);
}

static void closed(struct hub *hub, struct session *session, int code, struct str reason)
{
    struct buf bytes = {0};
    (void)hub;
    buf_append_char(&bytes, (char)(code >> 8));
    buf_append_char(&bytes, (char)code);
    buf_append(&bytes, reason);
    line_in_put(line_of(session), WS_CLOSE, buf_str(&bytes), 0);
    buf_fini(&bytes);
}

static void hold(struct session *session, bool hold)
{
    line_in_hold(line_of(session), hold);
}

/* --- lines ------------------------------------------------------------------------------------------------------ */

/* The lines that have this transport as a member. Tables are const only for those who call by them. */
static struct line_set *lines_with(const struct net_transport *transport)
{
    return (struct line_set *)((uintptr_t)transport - offsetof(struct line_set, transport));
}

static struct line *create(struct line_set *lines)
{
    struct line *line = xcalloc(1, sizeof *line);
    line->set = lines;
    line->ops = ws_transport_ops;
    line->ops.write = write_frames;
    line->ops.finish = finish;
    line->ops.hold = hold;
    line->ops.receive = receive;
    line->ops.receive_binary = receive_binary;
    line->ops.ping = ping;
    line->ops.pong = pong;
    line->ops.closed = closed;
    line->ops.writable = writable;
    line_out_init(line, hub_wheel(lines->hub));
    line_in_init(line, hub_wheel(lines->hub));
    list_init(&line->lost);
    list_append(&lines->lines, &line->link);
    return line;
}

static void destroy(struct line *line)
{
    list_remove(&line->link);
    free(line);
}

static void free_gone(struct line_set *lines)
{
    LIST_EACH(link, &lines->gone)
    destroy(CONTAINER_OF(link, struct line, link));
}

static void open_session(struct stream *stream, const struct net_start *start, struct str answer, struct str rest)
{
    const struct net_endpoint *endpoint = net_endpoint_of(start->session.endpoint);
    struct line_set *lines = lines_with(endpoint->transport);
    struct net_start behind = *start;
    free_gone(lines);
    struct line *line = create(lines);
    behind.session.ops = &line->ops;
    ws_transport.open(stream, &behind, answer, rest);
    if (!line->session) /* the connection had failed */
        destroy(line);
}

static struct line_set *of_observer(struct observer *observer)
{
    return CONTAINER_OF(observer, struct line_set, observer);
}

static void on_opened(struct observer *observer, const struct session *session)
{
    struct line *line = line_of(session);
    line->session = session_index_find(hub_sessions(of_observer(observer)->hub), session->id);
    line->party = journal_party_create(str_from_cstr(session->uuid), session->claims->sub);
    line_step_keep_promise(line);
}

/* The session still has the table, so the line stays for a while. */
static void on_closed(struct observer *observer, const struct session *session, enum reason reason)
{
    struct line *line = line_of(session);
    (void)reason;
    line_out_fini(line);
    line_in_fini(line);
    line_messages_forget(line);
    journal_party_end(line->set->journal, line->party);
    line->party = NULL;
    list_remove(&line->link);
    list_append(&of_observer(observer)->gone, &line->link);
}

void lines_init(struct line_set *lines, struct journal *journal, struct dev_broker *broker)
{
    *lines = (struct line_set){.journal = journal, .broker = broker};
    lines->transport = ws_transport;
    lines->transport.open = open_session;
    lines->observer = (struct observer){.opened = on_opened, .closed = on_closed};
    lines->step = line_step(lines);
    list_init(&lines->lines);
    list_init(&lines->gone);
    fault_rules_init(&lines->rules);
}

void lines_start(struct line_set *lines, struct hub *hub)
{
    lines->hub = hub;
    hub_observe(hub, &lines->observer);
}

void lines_calm(struct line_set *lines)
{
    LIST_EACH(link, &lines->lines)
    {
        struct line *line = CONTAINER_OF(link, struct line, link);
        if (!line->session)
            continue;
        line_messages_forget(line);
        lane_calm(&line->in, line_now_us(line));
        lane_calm(&line->out, line_now_us(line));
        line_in_settle(line);
        line_out_settle(line);
    }
}

void lines_fini(struct line_set *lines)
{
    free_gone(lines);
    line_step_fini(lines);
    out_text_fini(&lines->newest);
    fault_rules_fini(&lines->rules);
}
