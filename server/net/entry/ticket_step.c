/* ticket_step.c - see ticket_step.h. */
#include "server/net/entry/ticket_step.h"

#include "server/core/session_ticket.h"
#include "server/net/entry/subscribe_step.h"

static enum reason reason_of(enum err err, enum ticket_outcome outcome)
{
    if (err)
        return REASON_BROKER_AWAY;
    switch (outcome) {
    case TICKET_DONE:
    case TICKET_WANTED: return REASON_NONE;
    case TICKET_UNKNOWN:
    case TICKET_WRONG: return REASON_TICKET_INVALID;
    case TICKET_USED: return REASON_TICKET_USED;
    case TICKET_HELD: return REASON_TICKET_HELD;
    }
    return REASON_TICKET_INVALID;
}

/* The user may have lost rights since the ticket was issued, or the token may have ended. */
static enum reason take_claims(struct entry *entry, struct str text)
{
    const struct net_endpoint *endpoint = entry->admission.endpoint;
    const struct admitter *admitter = entry->admitter;
    struct claims *claims;
    struct error error;
    error.code = ERR_NONE;
    if (claims_parse(text, &claims, NULL) != ERR_NONE)
        return REASON_TICKET_INVALID;
    entry->admission.claims = claims;
    uint64_t end_ms = claims->exp_ms + admitter->settings->policy.leeway_ms;
    if (claims->exp_ms && end_ms <= turn_wall_ms(admitter->turn) && !endpoint->base.ignores_expiry)
        return REASON_TOKEN_EXPIRED;
    enum reason reason = admission_check_claims(endpoint, claims, &error);
    if (reason && error.code)
        entry_explain(entry, error.text);
    return reason;
}

static void answered(void *waiter, enum err err, enum ticket_outcome outcome)
{
    struct entry *entry = waiter;
    enum reason reason = reason_of(err, outcome);
    if (reason == REASON_NONE)
        reason = take_claims(entry, session_ticket_claims(entry->ticket));
    entry_answer(entry, reason);
}

/* False: a name has no value. */
static bool fill(const struct entry *entry, struct str template, struct buf *out)
{
    struct str missing;
    return entry_fill(entry, template, out, &missing);
}

static enum entry_verdict begin(void *owner, struct entry *entry, const struct http_head *head, enum reason *out_reason)
{
    const struct admission *admission = &entry->admission;
    const struct net_endpoint *endpoint = admission->endpoint;
    struct buf purpose = {0}, resource = {0};
    (void)head;
    if (!admission->ticket.ptr)
        return ENTRY_PASSES;
    *out_reason = REASON_TICKET_INVALID;
    if (admission->ticket.len == TICKET_LEN && fill(entry, endpoint->ticket_purpose, &purpose) &&
        fill(entry, endpoint->ticket_resource, &resource)) {
        const struct ticket_question question = {.ticket = admission->ticket,
                                                 .purpose = buf_str(&purpose),
                                                 .resource = buf_str(&resource),
                                                 .any_purpose = endpoint->ticket_purpose.len == 0,
                                                 .any_resource = endpoint->ticket_resource.len == 0};
        entry->ticket = session_ticket_use(owner, &question, answered, entry);
    }
    buf_fini(&purpose);
    buf_fini(&resource);
    return entry->ticket ? ENTRY_WAITS : ENTRY_IS_REFUSED;
}

static void cancel(void *owner, struct entry *entry)
{
    (void)owner;
    session_ticket_stop_waiting(entry->ticket);
}

struct entry_step ticket_step(struct hub *hub)
{
    return (struct entry_step){.begin = begin, .cancel = cancel, .owner = hub};
}
