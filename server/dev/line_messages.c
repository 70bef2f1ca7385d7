/* line_messages.c - see line_messages.h. */
#include "server/dev/line_messages.h"

#include "common/base/alloc.h"
#include "common/base/random.h"
#include "server/dev/line_faults.h"
#include "server/dev/line_in.h"
#include "server/dev/line_out.h"
#include "server/dev/line_state.h"

/* --- which rule ------------------------------------------------------------------------------------------------- */

static struct fault_rule *match(struct line *line, enum fault_where at, const struct frame_facts *facts)
{
    const struct fault_subject subject = {.at = at,
                                          .user = line->session->claims->sub,
                                          .session = str_from(line->session->uuid, UUID_LEN),
                                          .facts = facts};
    return fault_rules_match(&line->set->rules, &subject);
}

bool line_messages_are_watched(const struct line *line)
{
    return line->set->rules.count > 0 || !list_is_empty(&line->lost);
}

/* An answer without an id is known by its type, or is an error. */
static struct lost_answer *find_lost(struct line *line, const struct frame_facts *facts)
{
    LIST_EACH(link, &line->lost)
    {
        struct lost_answer *lost = CONTAINER_OF(link, struct lost_answer, link);
        if (str_eq(lost->id, facts->id) &&
            (lost->id.len > 0 || str_eq(facts->type, lost->type) || str_eq(facts->type, STR("error"))))
            return lost;
    }
    return NULL;
}

void line_messages_match(struct line *line, const struct out_frame *frame, struct fault_verdict *out)
{
    *out = (struct fault_verdict){0};
    if (frame->opcode == WS_TEXT)
        frame_facts_read(&out->facts, frame->payload);
    if (frame->opcode != WS_TEXT && frame->opcode != WS_BINARY)
        return;
    out->lost = find_lost(line, &out->facts);
    if (!out->lost)
        out->rule = match(line, AT_OUT, &out->facts);
}

/* --- out -------------------------------------------------------------------------------------------------------- */

static struct lane_item item_of(const struct out_frame *frame)
{
    return (struct lane_item){.opcode = frame->opcode, .bytes = frame->whole, .payload = frame->payload};
}

static void send_as_it_is(struct line *line, const struct out_frame *frame)
{
    const struct lane_item item = item_of(frame);
    line_out_put(line, &item);
}

static uint64_t due_us(const struct line *line, const struct fault_action *action)
{
    return line_now_us(line) + action->by_us + (action->jitter_us ? random_below(action->jitter_us) : 0);
}

static void send_late(struct line *line, const struct out_frame *frame, const struct fault_action *action)
{
    struct lane_item item = item_of(frame);
    item.due_us = due_us(line, action);
    line_out_put(line, &item);
}

static void send_never(struct line *line, const struct out_frame *frame, const struct fault_action *action)
{
    (void)line;
    (void)frame;
    (void)action;
}

static void send_again(struct line *line, const struct out_frame *frame, const struct fault_action *action)
{
    for (size_t i = 0; i <= action->copies; i++)
        send_as_it_is(line, frame);
}

static void send_in_disorder(struct line *line, const struct out_frame *frame, const struct fault_action *action)
{
    const struct lane_item item = item_of(frame);
    lane_pool(&line->out, &item, action->window, action->for_us, line_now_us(line));
}

/* Another payload in a frame of its own. */
static void send_other(struct line *line, enum ws_opcode opcode, struct str payload)
{
    struct buf whole = {0};
    buf_reserve(&whole, WS_HEADER_MAX + payload.len);
    whole.len = ws_frame_header((uint8_t *)whole.ptr, opcode, payload.len);
    size_t head = whole.len;
    buf_append(&whole, payload);
    const struct lane_item item = {
        .opcode = opcode, .bytes = buf_str(&whole), .payload = str_skip(buf_str(&whole), head)};
    line_out_put(line, &item);
    buf_fini(&whole);
}

/* 0xff is in no text (RFC 3629, 1). */
static void send_corrupt(struct line *line, const struct out_frame *frame, const struct fault_action *action)
{
    struct buf payload = {0};
    (void)action;
    buf_append(&payload, frame->payload);
    if (payload.len > 0)
        payload.ptr[random_below(payload.len)] = (char)0xff;
    send_other(line, frame->opcode, buf_str(&payload));
    buf_fini(&payload);
}

/* A text stays one: it is cut between characters. */
static struct str cut(struct str payload, bool text, uint64_t bytes)
{
    bool possible;
    struct str left = bytes < payload.len ? str_from(payload.ptr, (size_t)bytes) : payload;
    return text ? str_from(left.ptr, str_utf8_prefix(left, &possible)) : left;
}

static void send_cut(struct line *line, const struct out_frame *frame, const struct fault_action *action)
{
    send_other(line, frame->opcode, cut(frame->payload, frame->opcode == WS_TEXT, action->bytes));
}

/* RFC 6455, 5.4: the first frame names the kind, the others continue it, the last one says that it is the last. */
static void send_in_parts(struct line *line, const struct out_frame *frame, const struct fault_action *action)
{
    enum { LAST = 0x80 };
    struct str rest = frame->payload;
    struct buf part = {0};
    for (bool first = true; first || rest.len > 0; first = false) {
        size_t len = rest.len < action->bytes ? rest.len : (size_t)action->bytes;
        buf_clear(&part);
        buf_reserve(&part, WS_HEADER_MAX + len);
        part.len = ws_frame_header((uint8_t *)part.ptr, frame->opcode, len);
        part.ptr[0] = (char)((first ? frame->opcode : 0) | (len == rest.len ? LAST : 0));
        buf_append(&part, str_from(rest.ptr, len));
        const struct lane_item item = {.opcode = frame->opcode,
                                       .silent = !first,
                                       .bytes = buf_str(&part),
                                       .payload = first ? frame->payload : STR("")};
        line_out_put(line, &item);
        rest = str_skip(rest, len);
    }
    buf_fini(&part);
}

static void send_replaced(struct line *line, const struct out_frame *frame, const struct fault_action *action)
{
    (void)frame;
    send_other(line, WS_TEXT, buf_str(&action->frame));
}

static void (*const senders[FAULT_KINDS])(struct line *line, const struct out_frame *frame,
                                          const struct fault_action *action) = {
    [FAULT_DELAY] = send_late,          [FAULT_DROP] = send_never,       [FAULT_DUPLICATE] = send_again,
    [FAULT_REORDER] = send_in_disorder, [FAULT_CORRUPT] = send_corrupt,  [FAULT_TRUNCATE] = send_cut,
    [FAULT_FRAGMENT] = send_in_parts,   [FAULT_REPLACE] = send_replaced,
};

static void forget_lost(struct lost_answer *lost)
{
    list_remove(&lost->link);
    fault_action_unref(lost->action);
    free(lost);
}

void line_messages_send(struct line *line, const struct out_frame *frame, const struct fault_verdict *verdict)
{
    struct fault_rule *rule = verdict->rule;
    if (verdict->lost) {
        line_faults_note(line, verdict->lost->action,
                         &(struct fault_cause){.rule = verdict->lost->rule, .frame = frame->payload});
        forget_lost(verdict->lost);
    } else if (!rule) {
        send_as_it_is(line, frame);
    } else if (senders[rule->action->kind]) {
        line_faults_note(
            line, rule->action,
            &(struct fault_cause){.rule = rule->id, .channel = verdict->facts.channel, .frame = frame->payload});
        senders[rule->action->kind](line, frame, rule->action);
    } else {
        send_as_it_is(line, frame);
        line_faults_do(line, rule->action, &(struct fault_cause){.rule = rule->id, .channel = verdict->facts.channel});
    }
}

/* --- in --------------------------------------------------------------------------------------------------------- */

struct taken {
    enum ws_opcode opcode;
    struct str payload;
    const struct frame_facts *facts;
    const char *rule;
};

static void take_late(struct line *line, const struct taken *taken, struct fault_action *action)
{
    line_in_put(line, taken->opcode, taken->payload, due_us(line, action));
}

static void take_never(struct line *line, const struct taken *taken, struct fault_action *action)
{
    (void)line;
    (void)taken;
    (void)action;
}

static void take_again(struct line *line, const struct taken *taken, struct fault_action *action)
{
    for (size_t i = 0; i <= action->copies; i++)
        line_in_put(line, taken->opcode, taken->payload, 0);
}

static void take_in_disorder(struct line *line, const struct taken *taken, struct fault_action *action)
{
    const struct lane_item item = {.opcode = taken->opcode, .bytes = taken->payload};
    lane_pool(&line->in, &item, action->window, action->for_us, line_now_us(line));
}

static void take_cut(struct line *line, const struct taken *taken, struct fault_action *action)
{
    line_in_put(line, taken->opcode, cut(taken->payload, taken->opcode == WS_TEXT, action->bytes), 0);
}

static void take_replaced(struct line *line, const struct taken *taken, struct fault_action *action)
{
    (void)taken;
    line_in_put(line, WS_TEXT, buf_str(&action->frame), 0);
}

/* The type of the answer to a command of this type (docs/protocol.md, "Commands"). */
static struct str answer_to(struct str type)
{
    static const char *const answers[][2] = {
        {"subscribe", "subscribed"},
        {"unsubscribe", "unsubscribed"},
        {"publish", "published"},
        {"refresh", "refreshed"},
        {"ping", "pong"},
        {"history", "history"},
        {"presence", "presence"},
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (str_eq_cstr(type, answers[i][0]))
            return str_from_cstr(answers[i][1]);
    return STR("error");
}

static void take_and_lose_answer(struct line *line, const struct taken *taken, struct fault_action *action)
{
    struct lost_answer *lost = xcalloc(1, sizeof *lost + taken->facts->id.len);
    char *at = lost->bytes;
    memcpy(lost->rule, taken->rule, strlen(taken->rule));
    lost->action = fault_action_ref(action);
    lost->type = answer_to(taken->facts->type);
    lost->id = str_pack(&at, taken->facts->id);
    list_append(&line->lost, &lost->link);
    line_in_put(line, taken->opcode, taken->payload, 0);
}

static void take_and_fail(struct line *line, const struct taken *taken, struct fault_action *action)
{
    hub_fail(line->set->hub, line->session, taken->facts->id, action->error, str_from_cstr(err_text(action->error)));
}

static void (*const takers[FAULT_KINDS])(struct line *line, const struct taken *taken, struct fault_action *action) = {
    [FAULT_DELAY] = take_late,
    [FAULT_DROP] = take_never,
    [FAULT_DUPLICATE] = take_again,
    [FAULT_REORDER] = take_in_disorder,
    [FAULT_TRUNCATE] = take_cut,
    [FAULT_REPLACE] = take_replaced,
    [FAULT_LOSE_ANSWER] = take_and_lose_answer,
    [FAULT_ERROR] = take_and_fail,
};

static void take_by_rule(struct line *line, struct fault_rule *rule, const struct taken *taken)
{
    struct fault_action *action = fault_action_ref(rule->action);
    struct fault_cause cause = {.rule = rule->id, .channel = taken->facts->channel};
    bool before = action->kind == FAULT_LOSE_HISTORY; /* so that a subscribe finds it lost */
    if (takers[action->kind]) {
        cause.frame = taken->opcode == WS_TEXT ? taken->payload : STR("");
        line_faults_note(line, action, &cause);
        takers[action->kind](line, taken, action);
    } else if (before) {
        line_faults_do(line, action, &cause);
        line_in_put(line, taken->opcode, taken->payload, 0);
    } else {
        line_in_put(line, taken->opcode, taken->payload, 0);
        line_faults_do(line, action, &cause);
    }
    fault_action_unref(action);
}

void line_messages_take(struct line *line, enum ws_opcode opcode, struct str payload)
{
    struct frame_facts facts = {0};
    if (line->set->rules.count > 0 && opcode == WS_TEXT)
        frame_facts_read(&facts, payload);
    struct fault_rule *rule = line->set->rules.count > 0 ? match(line, AT_IN, &facts) : NULL;
    const struct taken taken = {.opcode = opcode, .payload = payload, .facts = &facts, .rule = rule ? rule->id : ""};
    if (rule)
        take_by_rule(line, rule, &taken);
    else
        line_in_put(line, opcode, payload, 0);
    frame_facts_fini(&facts);
}

void line_messages_forget(struct line *line)
{
    LIST_EACH(link, &line->lost)
    forget_lost(CONTAINER_OF(link, struct lost_answer, link));
}
