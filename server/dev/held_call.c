/* held_call.c - see held_call.h. The journal is written to in the midst of deliveries. So who waits for a line only
 * notes that there is one, and looks at it by mail, at the end of the turn. */
#include "server/dev/held_call.h"

#include <stdlib.h>

#include "common/base/uv_handle.h"

void held_calls_init(struct held_calls *set, struct journal *journal)
{
    *set = (struct held_calls){.journal = journal};
    list_init(&set->all);
}

static void free_if_done(struct held_call *held)
{
    if (held->call || held->posted || !held->closed)
        return;
    if (held->fini)
        held->fini(held);
    free(held);
}

static void on_mail(struct mail *mail, void *owner)
{
    struct held_call *held = CONTAINER_OF(mail, struct held_call, mail);
    (void)owner;
    held->posted = false;
    if (held->call)
        held->look(held);
    else
        free_if_done(held);
}

void held_call_look_again(struct held_call *held)
{
    if (held->posted)
        return;
    held->posted = true;
    held->mail.deliver = on_mail;
    mailbox_post(held->set->mailbox, &held->mail);
}

static void hear(struct journal_listener *listener, const struct journal_line *line)
{
    (void)line;
    held_call_look_again(CONTAINER_OF(listener, struct held_call, listener));
}

static void on_time(uv_timer_t *timer)
{
    struct held_call *held = timer->data;
    held->expire(held);
}

static void on_closed(uv_handle_t *handle)
{
    struct held_call *held = handle->data;
    held->closed = true;
    free_if_done(held);
}

void held_call_begin(struct held_calls *set, struct held_call *held, uint64_t timeout_ms)
{
    held->set = set;
    held->listener.hear = hear;
    list_append(&set->all, &held->link);
    journal_listen(set->journal, &held->listener);
    uv_timer_init(set->mailbox->turn->loop, &held->timer);
    held->timer.data = held;
    held->began_ms = uv_now(held->timer.loop);
    held_call_extend(held, timeout_ms);
    held_call_look_again(held);
}

void held_call_extend(struct held_call *held, uint64_t timeout_ms)
{
    uv_timer_start(&held->timer, on_time, timeout_ms, 0);
}

uint64_t held_call_age_ms(const struct held_call *held)
{
    return uv_now(held->timer.loop) - held->began_ms;
}

void held_call_end(struct held_call *held)
{
    held->call = NULL;
    list_remove(&held->link);
    list_remove(&held->listener.link);
    uv_close(UV_HANDLE(&held->timer), on_closed);
}

void held_calls_expire(struct held_calls *set)
{
    set->ending = true;
    LIST_EACH(link, &set->all)
    {
        struct held_call *held = CONTAINER_OF(link, struct held_call, link);
        held->expire(held);
    }
}
