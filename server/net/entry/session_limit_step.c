/* session_limit_step.c - see session_limit_step.h. */
#include "server/net/entry/session_limit_step.h"

#include "server/core/session_slot.h"

static void answered(void *waiter, bool granted)
{
    if (!granted)
        entry_explain_session_limit(waiter);
    entry_answer(waiter, granted ? REASON_NONE : REASON_CONNECTION_LIMIT);
}

static enum entry_verdict begin(void *owner, struct entry *entry, const struct http_head *head, enum reason *out_reason)
{
    struct hub *hub = owner;
    (void)head;
    *out_reason = REASON_NONE; /* answered() tells a refusal */
    if (!session_slot_is_needed(hub, entry->admission.claims))
        return ENTRY_PASSES;
    entry->slot = session_slot_take(hub, str_from(entry->uuid, UUID_LEN), entry->admission.claims, answered, entry);
    return ENTRY_WAITS;
}

static void cancel(void *owner, struct entry *entry)
{
    (void)owner;
    session_slot_stop_waiting(entry->slot);
}

struct entry_step session_limit_step(struct hub *hub)
{
    return (struct entry_step){.begin = begin, .cancel = cancel, .passes_late = true, .owner = hub};
}
