/* single_use_step.c - see single_use_step.h. */
#include "server/net/entry/single_use_step.h"

#include "server/core/single_use.h"

static void answered(void *waiter, enum err err, bool first)
{
    struct entry *entry = waiter;
    entry_answer(entry, err ? REASON_BROKER_AWAY : first ? REASON_NONE : REASON_TOKEN_USED);
}

static enum entry_verdict begin(void *owner, struct entry *entry, const struct http_head *head, enum reason *out_reason)
{
    const struct net_settings *settings = entry->admitter->settings;
    const struct claims *claims = claims_of_token(entry->admission.claims); /* whatever a backend puts over them */
    (void)head;
    if (!entry->admission.endpoint->token_single_use || entry->ticket)
        return ENTRY_PASSES;
    if (!claims->exp_ms) {
        *out_reason = REASON_TOKEN_INVALID;
        entry_explain(entry, "this endpoint takes a token once, so the token must have an exp until which it is known");
        return ENTRY_IS_REFUSED;
    }
    const struct single_use_question question = {
        .claims = claims, .leeway_ms = settings->policy.leeway_ms, .max = settings->tickets_max};
    entry->waiter = single_use_ask(owner, &question, answered, entry);
    return ENTRY_WAITS;
}

static void cancel(void *owner, struct entry *entry)
{
    (void)owner;
    single_use_stop_waiting(entry->waiter);
}

struct entry_step single_use_step(struct hub *hub)
{
    return (struct entry_step){.begin = begin, .cancel = cancel, .owner = hub};
}
