/* line_faults.c - see line_faults.h. */
#include "server/dev/line_faults.h"

#include "common/base/alloc.h"
#include "server/dev/line_in.h"
#include "server/dev/line_out.h"
#include "server/dev/line_state.h"
#include "server/dev/watch.h"
#include "server/net/stream/stream.h"
#include "server/net/ws/ws.h"

void line_faults_note(struct line *line, const struct fault_action *action, const struct fault_cause *cause)
{
    watch_note(line->set->journal, line->session,
               (struct journal_note){.kind = JOURNAL_RULE,
                                     .channel = cause->channel,
                                     .frame = cause->frame,
                                     .text = buf_str(&action->words),
                                     .rule = str_from_cstr(cause->rule)});
}

/* --- faults of the connection ----------------------------------------------------------------------------------- */

static void reset(struct line *line, const struct fault_action *action, struct str channel)
{
    (void)action;
    (void)channel;
    stream_reset(ws_stream(line->session));
}

static void half_close(struct line *line, const struct fault_action *action, struct str channel)
{
    (void)action;
    (void)channel;
    line_out_end(line);
}

static void freeze_lane(struct link_lane *lane, uint64_t for_us, uint64_t now_us)
{
    if (for_us == 0)
        lane_thaw(lane, now_us);
    else
        lane_freeze(lane, for_us, now_us);
}

static void freeze(struct line *line, const struct fault_action *action, struct str channel)
{
    (void)channel;
    if (action->reads)
        freeze_lane(&line->in, action->for_us, line_now_us(line));
    if (action->writes)
        freeze_lane(&line->out, action->for_us, line_now_us(line));
}

static void throttle(struct line *line, const struct fault_action *action, struct str channel)
{
    (void)channel;
    lane_throttle(&line->in, action->bytes_per_s, line_now_us(line));
    lane_throttle(&line->out, action->bytes_per_s, line_now_us(line));
}

static void inject(struct line *line, const struct fault_action *action, struct str channel)
{
    (void)channel;
    line_out_message(line, buf_str(&action->frame));
}

/* --- faults of the session -------------------------------------------------------------------------------------- */

/* With a reason of the server's own, and no code, it ends as the server would end it. */
static void close_session(struct line *line, const struct fault_action *action, struct str channel)
{
    struct str text = action->text.len ? buf_str(&action->text) : STR("disconnected");
    enum reason reason = reason_from_text(text);
    (void)channel;
    if (action->code)
        session_end_with(line->session, action->code, buf_str(&action->text));
    else if (reason)
        session_end(line->session, reason);
    else
        session_end_with(line->session, reason_close_code(REASON_DISCONNECTED), text);
}

static void expire(struct line *line, const struct fault_action *action, struct str channel)
{
    (void)channel;
    hub_expire(line->set->hub, line->session, action->warn);
}

static void reconnect(struct line *line, const struct fault_action *action, struct str channel)
{
    (void)channel;
    hub_send_away(line->set->hub, line->session, action->after_us);
}

typedef void fault_of_line(struct line *line, const struct fault_action *action, struct str channel);

/* For the channel that the action or the message names, or for all that the session has. */
static void for_channels(struct line *line, const struct fault_action *action, struct str channel, fault_of_line *each)
{
    const struct session *session = line->session;
    if (action->channel.len)
        each(line, action, buf_str(&action->channel));
    else if (channel.len)
        each(line, action, channel);
    else
        for (uint32_t i = 0; i < session->subscription_count; i++)
            each(line, action, channel_name(session->subscriptions[i].channel));
}

static void gap_of(struct line *line, const struct fault_action *action, struct str channel)
{
    hub_tell_gap(line->set->hub, line->session, channel, action->gap);
}

static void gap(struct line *line, const struct fault_action *action, struct str channel)
{
    for_channels(line, action, channel, gap_of);
}

static void lose_history_of(struct line *line, const struct fault_action *action, struct str channel)
{
    (void)action;
    dev_broker_lose_history(line->set->broker, channel);
}

static void lose_history(struct line *line, const struct fault_action *action, struct str channel)
{
    for_channels(line, action, channel, lose_history_of);
}

/* --- all of them ------------------------------------------------------------------------------------------------ */

static const struct {
    fault_of_line *act;
    bool calls_hub;
} faults[FAULT_KINDS] = {
    [FAULT_RESET] = {reset, false},        [FAULT_HALF_CLOSE] = {half_close, false},
    [FAULT_FREEZE] = {freeze, false},      [FAULT_THROTTLE] = {throttle, false},
    [FAULT_INJECT] = {inject, false},      [FAULT_LOSE_HISTORY] = {lose_history, false},
    [FAULT_CLOSE] = {close_session, true}, [FAULT_EXPIRE] = {expire, true},
    [FAULT_RECONNECT] = {reconnect, true}, [FAULT_GAP] = {gap, true},
};

/* What waits until the hub may be called, as mail to the hub. */
struct fault_order {
    struct mail mail;
    struct session_id session;
    struct fault_action *action;
    struct str channel;
    char bytes[];
};

static void carry_out(struct mail *mail, void *owner)
{
    struct fault_order *order = CONTAINER_OF(mail, struct fault_order, mail);
    struct session *session = session_index_find(hub_sessions(owner), order->session);
    if (session) {
        struct line *line = line_of(session);
        if (faults[order->action->kind].calls_hub && session->state == SESSION_OPEN)
            faults[order->action->kind].act(line, order->action, order->channel);
        line_in_settle(line);
        line_out_settle(line);
    }
    fault_action_unref(order->action);
    free(order);
}

void line_faults_do(struct line *line, struct fault_action *action, const struct fault_cause *cause)
{
    struct fault_order *order = xcalloc(1, sizeof *order + cause->channel.len);
    char *at = order->bytes;
    line_faults_note(line, action, cause);
    order->mail.deliver = carry_out;
    order->session = line->session->id;
    order->action = fault_action_ref(action);
    order->channel = str_pack(&at, cause->channel);
    if (!faults[action->kind].calls_hub)
        faults[action->kind].act(line, action, cause->channel);
    mailbox_post(hub_replies(line->set->hub), &order->mail);
}
