/* entry.c - see entry.h. */
#include "server/net/entry/entry.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "common/protocol/channel_name.h"
#include "server/core/session_slot.h"
#include "server/core/session_ticket.h"
#include "server/core/session_uuid.h"
#include "server/net/admission/net_transport.h"

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
    session_uuid_make(turn_wall_ms(start->admitter->turn), start->node_id, entry->uuid);
}

void entry_fini(struct entry *entry)
{
    admission_drop(&entry->admission);
    if (entry->admission.endpoint)
        endpoint_unref(&entry->admission.endpoint->base);
    for (size_t i = 0; i < entry->channel_count; i++)
        free((void *)(uintptr_t)entry->channels[i].name.ptr); /* ours, although a str never owns */
    free(entry->channels);
    free(entry->explanation);
    if (entry->slot)
        session_slot_leave(entry->slot);
    if (entry->ticket)
        session_ticket_leave(entry->ticket);
    *entry = (struct entry){0};
}

enum err entry_subscribe(struct entry *entry, struct str channel, bool by_backend, struct error *error)
{
    enum err err = channel_check(channel, error);
    if (err != ERR_NONE)
        return err;
    entry->channels = xrealloc(entry->channels, (entry->channel_count + 1) * sizeof *entry->channels);
    entry->channels[entry->channel_count++] =
        (struct first_channel){.name = str_from(str_dup(channel), channel.len), .by_backend = by_backend};
    return ERR_NONE;
}

void entry_explain(struct entry *entry, const char *text)
{
    free(entry->explanation);
    entry->explanation = xstrdup(text);
}

void entry_refuse_as(struct entry *entry, const struct entry_form *form)
{
    entry->form = *form;
}

void entry_explain_session_limit(struct entry *entry)
{
    struct error error;
    error_set(&error, reason_err(REASON_CONNECTION_LIMIT),
              "the session_limit of the token allows %llu connections of its user at once; close one first",
              (unsigned long long)entry->admission.claims->session_limit);
    entry_explain(entry, error.text);
}

/* The present endpoint of the client's path. NULL: a reload has removed it. */
static struct net_endpoint *present_endpoint(const struct entry *entry)
{
    return net_settings_same_endpoint(entry->admitter->settings, entry->admission.endpoint);
}

/* A reload may have come meanwhile. */
static void follow(struct entry *entry)
{
    struct net_endpoint *before = entry->admission.endpoint;
    struct net_endpoint *now = present_endpoint(entry);
    if (!now)
        return;
    entry->admission.endpoint = net_endpoint_of(endpoint_ref(&now->base));
    endpoint_unref(&before->base);
}

/* The step that has waited lets the client pass. A change meanwhile may stand against it. */
static enum reason pass(struct entry *entry)
{
    follow(entry);
    if (entry->admitter->unavailable)
        return entry->admitter->unavailable;
    if (entry->admission.claims && admitter_has_revoked(entry->admitter, entry->admission.claims))
        return REASON_TOKEN_REVOKED;
    entry->at++;
    return REASON_NONE;
}

void entry_answer(struct entry *entry, enum reason reason)
{
    assert(entry->waits);
    entry->waits = false;
    entry->answered(entry, reason ? reason : pass(entry));
}

void entry_cancel(struct entry *entry)
{
    if (!entry->waits)
        return;
    const struct entry_step *step = &entry->steps[entry->at];
    entry->waits = false;
    step->cancel(step->owner, entry);
}

enum reason entry_give_up(struct entry *entry)
{
    entry_cancel(entry);
    entry->late = true;
    if (entry->admitter->unavailable)
        return entry->admitter->unavailable;
    return entry->steps[entry->at].passes_late ? pass(entry) : REASON_NOT_READY;
}

enum entry_verdict entry_run(struct entry *entry, const struct http_head *head, enum reason *out_reason)
{
    while (entry->at < entry->step_count) {
        const struct entry_step *step = &entry->steps[entry->at];
        enum entry_verdict verdict = step->begin(step->owner, entry, head, out_reason);
        if (verdict == ENTRY_IS_REFUSED)
            return ENTRY_IS_REFUSED;
        entry->waits = verdict == ENTRY_WAITS;
        if (!entry->waits)
            entry->at++;
        else if (!entry->late)
            return ENTRY_WAITS;
        else if ((*out_reason = entry_give_up(entry)) != REASON_NONE)
            return ENTRY_IS_REFUSED;
    }
    return ENTRY_PASSES;
}

bool entry_has_endpoint(const struct entry *entry)
{
    return present_endpoint(entry) != NULL;
}

void entry_refuse(struct entry *entry, enum reason reason)
{
    struct admission *admission = &entry->admission;
    const struct entry_form *form = &entry->form;
    admission_refuse(entry->admitter, admission, reason);
    if (form->status) {
        admission->outcome = REFUSED_HTTP;
        admission->status = form->status;
        admission->retry_after_s = 0;
    }
    if (form->close_code) {
        admission->outcome = REFUSED_CLOSE;
        admission->close_code = form->close_code;
    }
    if (form->retry_after_s)
        admission->retry_after_s = form->retry_after_s;
}
