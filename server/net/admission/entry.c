/* entry.c - see entry.h. */
#include "server/net/admission/entry.h"

#include <assert.h>

void entry_init(struct entry *entry, const struct entry_start *start, const struct admission *admission)
{
    *entry = (struct entry){
        .admitter = start->admitter,
        .admission = *admission,
        .lease = start->lease,
        .steps = start->steps,
        .step_count = start->step_count,
        .answered = start->answered,
    };
    endpoint_ref(&entry->admission.endpoint->base);
}

void entry_fini(struct entry *entry)
{
    claims_unref(entry->admission.claims);
    if (entry->admission.endpoint)
        endpoint_unref(&entry->admission.endpoint->base);
    texts_clear(&entry->subscriptions);
    *entry = (struct entry){0};
}

enum entry_verdict entry_run(struct entry *entry, const struct http_head *head, enum reason *out_reason)
{
    while (entry->at < entry->step_count) {
        const struct entry_step *step = &entry->steps[entry->at];
        enum entry_verdict verdict = step->begin(step->owner, entry, head, out_reason);
        entry->waits = verdict == ENTRY_WAITS;
        if (verdict != ENTRY_PASSES)
            return verdict;
        entry->at++;
    }
    return ENTRY_PASSES;
}

void entry_subscribe(struct entry *entry, struct str channel)
{
    texts_add(&entry->subscriptions, channel);
}

/* A reload may have come meanwhile. */
static void follow(struct entry *entry)
{
    struct net_endpoint *before = entry->admission.endpoint;
    struct net_endpoint *now = net_settings_successor(entry->admitter->settings, before);
    if (!now)
        return;
    entry->admission.endpoint = net_endpoint_of(endpoint_ref(&now->base));
    endpoint_unref(&before->base);
}

void entry_answer(struct entry *entry, enum reason reason)
{
    assert(entry->waits);
    entry->waits = false;
    entry->at++;
    follow(entry);
    if (reason == REASON_NONE)
        reason = entry->admitter->unavailable;
    if (reason == REASON_NONE && admitter_has_revoked(entry->admitter, entry->admission.claims))
        reason = REASON_TOKEN_REVOKED;
    entry->answered(entry, reason);
}

void entry_cancel(struct entry *entry)
{
    if (!entry->waits)
        return;
    const struct entry_step *step = &entry->steps[entry->at];
    entry->waits = false;
    step->cancel(step->owner, entry);
}
