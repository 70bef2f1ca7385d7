/* watch.c - see watch.h. */
#include "server/dev/watch.h"

#include "server/core/hub.h"

void watch_note(struct journal *journal, const struct session *session, struct journal_note note)
{
    note.session = str_from_cstr(session->uuid);
    note.user = session->claims->sub;
    journal_add(journal, hub_wall_ms(session->hub), &note);
}

static struct journal *journal_of(struct observer *observer)
{
    return CONTAINER_OF(observer, struct watch, observer)->journal;
}

static void on_opened(struct observer *observer, const struct session *session)
{
    watch_note(journal_of(observer), session,
               (struct journal_note){.kind = JOURNAL_CONNECTED, .text = str_from_cstr(session->address)});
}

static void on_closed(struct observer *observer, const struct session *session, enum reason reason)
{
    watch_note(journal_of(observer), session,
               (struct journal_note){.kind = JOURNAL_CLOSED,
                                     .code = session->closing_code,
                                     .text = reason ? str_from_cstr(reason_text(reason)) : STR("")});
}

static void on_subscribed(struct observer *observer, const struct session *session, const struct channel *channel)
{
    watch_note(journal_of(observer), session,
               (struct journal_note){.kind = JOURNAL_SUBSCRIBED, .channel = channel_name(channel)});
}

static void on_unsubscribed(struct observer *observer, const struct session *session, const struct channel *channel)
{
    watch_note(journal_of(observer), session,
               (struct journal_note){.kind = JOURNAL_UNSUBSCRIBED, .channel = channel_name(channel)});
}

static void on_refused(struct observer *observer, const struct refusal *refusal)
{
    struct buf text = {0};
    if (refusal->path.len)
        buf_appendf(&text, "%.*s: ", STR_ARG(refusal->path));
    buf_append(&text, refusal->sentence);
    journal_add(journal_of(observer), hub_wall_ms(CONTAINER_OF(observer, struct watch, observer)->hub),
                &(struct journal_note){.kind = JOURNAL_REFUSED,
                                       .code = refusal->close_code ? refusal->close_code : refusal->status,
                                       .text = buf_str(&text)});
    buf_fini(&text);
}

void watch_start(struct watch *watch, struct journal *journal, struct hub *hub)
{
    watch->journal = journal;
    watch->hub = hub;
    watch->observer = (struct observer){.opened = on_opened,
                                        .closed = on_closed,
                                        .subscribed = on_subscribed,
                                        .unsubscribed = on_unsubscribed,
                                        .refused = on_refused};
    hub_observe(hub, &watch->observer);
}
