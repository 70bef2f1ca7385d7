/* line_step.c - see line_step.h. */
#include "server/dev/line_step.h"

#include "common/base/alloc.h"
#include "server/dev/line_faults.h"
#include "server/dev/line_state.h"

enum { PROMISES_MAX = 1000 }; /* clients that are admitted and get no session after all leave some behind */

/* A fault that happens to a session once it has begun. */
struct promise {
    struct list_link link;
    char session[UUID_LEN + 1];
    char rule[FAULT_RULE_ID_LEN + 1];
    struct fault_action *action;
};

/* A client that waits. */
struct slow_entry {
    struct list_link link;
    struct timer timer;
    struct line_set *lines;
    struct entry *entry;
};

static void forget(struct line_set *lines, struct promise *promise)
{
    list_remove(&promise->link);
    lines->promises--;
    fault_action_unref(promise->action);
    free(promise);
}

/* The oldest go. */
static void forget_all_but(struct line_set *lines, size_t count)
{
    while (lines->promises > count)
        forget(lines, CONTAINER_OF(list_take_first(&lines->promised), struct promise, link));
}

static void promise(struct line_set *lines, const struct entry *entry, const struct fault_rule *rule)
{
    struct promise *made = xcalloc(1, sizeof *made);
    memcpy(made->session, entry->uuid, sizeof made->session);
    memcpy(made->rule, rule->id, sizeof made->rule);
    made->action = fault_action_ref(rule->action);
    forget_all_but(lines, PROMISES_MAX - 1);
    list_append(&lines->promised, &made->link);
    lines->promises++;
}

void line_step_keep_promise(struct line *line)
{
    LIST_EACH(link, &line->set->promised)
    {
        struct promise *made = CONTAINER_OF(link, struct promise, link);
        if (strcmp(made->session, line->session->uuid) != 0)
            continue;
        line_faults_do(line, made->action, &(struct fault_cause){.rule = made->rule, .channel = STR("")});
        forget(line->set, made);
        return;
    }
}

/* --- the step --------------------------------------------------------------------------------------------------- */

static void note(struct line_set *lines, const struct entry *entry, const struct fault_rule *rule, struct str user)
{
    journal_add(lines->journal, hub_wall_ms(lines->hub),
                &(struct journal_note){.kind = JOURNAL_RULE,
                                       .session = str_from(entry->uuid, UUID_LEN),
                                       .user = user,
                                       .text = buf_str(&rule->action->words),
                                       .rule = str_from_cstr(rule->id)});
}

/* A reason that goes with a status or a close code, for a rule that names none. */
static enum reason usual_reason(const struct fault_action *action)
{
    switch (action->status + action->code) { /* one of them is 0 */
    case 401: return REASON_TOKEN_INVALID;
    case 403:
    case 1008: return REASON_BACKEND_DENIED;
    case 409: return REASON_TICKET_HELD;
    case 429: return REASON_RATE_LIMITED;
    case 503:
    case 1012: return REASON_NOT_READY;
    case 1013: return REASON_BACKEND_UNAVAILABLE;
    default: return REASON_SERVER_ERROR;
    }
}

static enum entry_verdict refuse(struct entry *entry, const struct fault_action *action, enum reason *out_reason)
{
    const struct entry_form form = {
        .status = action->status, .close_code = action->code, .retry_after_s = action->retry_after_s};
    entry_refuse_as(entry, &form);
    *out_reason = action->reason ? action->reason : usual_reason(action);
    return ENTRY_IS_REFUSED;
}

/* The client waits no more. */
static void release(struct slow_entry *wait)
{
    wheel_stop(hub_wheel(wait->lines->hub), &wait->timer);
    list_remove(&wait->link);
    free(wait);
}

static void go_on(struct timer *timer, uint64_t now_us)
{
    struct slow_entry *wait = CONTAINER_OF(timer, struct slow_entry, timer);
    struct entry *entry = wait->entry;
    (void)now_us;
    release(wait);
    entry_answer(entry, REASON_NONE);
}

static enum entry_verdict let_wait(struct line_set *lines, struct entry *entry, uint64_t by_us)
{
    struct slow_entry *wait = xcalloc(1, sizeof *wait);
    wait->lines = lines;
    wait->entry = entry;
    entry->waiter = wait;
    list_append(&lines->slow, &wait->link);
    wheel_start(hub_wheel(lines->hub), &wait->timer, hub_now_us(lines->hub) + by_us, go_on);
    return ENTRY_WAITS;
}

static enum entry_verdict begin(void *owner, struct entry *entry, const struct http_head *head, enum reason *out_reason)
{
    struct line_set *lines = owner;
    const struct claims *claims = entry->admission.claims;
    const struct fault_subject subject = {
        .at = AT_CONNECT, .user = claims ? claims->sub : STR(""), .session = str_from(entry->uuid, UUID_LEN)};
    const struct fault_rule *rule = fault_rules_match(&lines->rules, &subject);
    (void)head;
    if (!rule)
        return ENTRY_PASSES;
    switch (rule->action->kind) {
    case FAULT_REFUSE: note(lines, entry, rule, subject.user); return refuse(entry, rule->action, out_reason);
    case FAULT_SLOW_HANDSHAKE:
        note(lines, entry, rule, subject.user);
        return let_wait(lines, entry, rule->action->by_us);
    default: promise(lines, entry, rule); return ENTRY_PASSES;
    }
}

static void cancel(void *owner, struct entry *entry)
{
    (void)owner;
    release(entry->waiter);
}

void line_step_turn_away(struct line_set *lines)
{
    forget_all_but(lines, 0);
    while (!list_is_empty(&lines->slow)) {
        struct slow_entry *wait = CONTAINER_OF(lines->slow.next, struct slow_entry, link);
        struct entry *entry = wait->entry;
        release(wait);
        entry_explain(entry, "the server has been reset while the client waited");
        entry_answer(entry, REASON_NOT_READY);
    }
}

struct entry_step line_step(struct line_set *lines)
{
    list_init(&lines->promised);
    list_init(&lines->slow);
    return (struct entry_step){.begin = begin, .cancel = cancel, .owner = lines};
}

void line_step_fini(struct line_set *lines)
{
    forget_all_but(lines, 0);
}
