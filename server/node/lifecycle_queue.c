/* lifecycle_queue.c - the events that wait for the broker, and their bound. */
#include <stdlib.h>

#include "server/node/lifecycle_private.h"

static bool has_room(const struct lifecycle *lifecycle, size_t cost)
{
    return lifecycle->waiting < lifecycle->settings->waiting_events &&
           lifecycle->waiting_bytes + cost <= lifecycle->settings->waiting_bytes;
}

bool lifecycle_is_half_empty(const struct lifecycle *lifecycle)
{
    return lifecycle->waiting <= lifecycle->settings->waiting_events / 2 &&
           lifecycle->waiting_bytes <= lifecycle->settings->waiting_bytes / 2;
}

void lifecycle_count_waiting(struct lifecycle *lifecycle, const struct lifecycle_event *event, bool more)
{
    size_t cost = lifecycle_event_cost(event);
    lifecycle->waiting += more ? 1 : (size_t)-1;
    lifecycle->waiting_bytes += more ? cost : 0 - cost;
    metrics_set(lifecycle->router->metrics, METRIC_LIFECYCLE_WAITING, lifecycle->waiting_bytes);
}

static void send_at_end(struct mail *mail, void *router)
{
    struct lifecycle *lifecycle = CONTAINER_OF(mail, struct lifecycle, send_mail);
    (void)router;
    lifecycle->send_posted = false;
    lifecycle->send(lifecycle);
}

/* All events of one turn go into one batch. */
static void append(struct lifecycle *lifecycle, struct lifecycle_event *event)
{
    list_append(&lifecycle->queue, &event->link);
    lifecycle->appended++;
    lifecycle_count_waiting(lifecycle, event, true);
    if (lifecycle->send_posted || lifecycle->busy)
        return;
    lifecycle->send_posted = true;
    lifecycle->send_mail.deliver = send_at_end;
    mailbox_post(&lifecycle->router->mailbox, &lifecycle->send_mail);
}

static void drop(struct lifecycle *lifecycle, struct lifecycle_event *event)
{
    unsigned long long count;
    lifecycle->dropped++;
    metrics_add(lifecycle->router->metrics, METRIC_LIFECYCLE_DROPPED, 1);
    if (log_limit_passes(&lifecycle->drops_said, lifecycle_now_us(lifecycle), &count))
        log_warn("lifecycle",
                 "events are dropped, as too many wait for the broker (lifecycle.waiting_events, "
                 "lifecycle.waiting_bytes); dropped since this was last said: %llu",
                 count);
    free(event);
}

void lifecycle_append(struct lifecycle *lifecycle, struct lifecycle_event *event)
{
    if (lifecycle->dropped || !has_room(lifecycle, lifecycle_event_cost(event)))
        drop(lifecycle, event);
    else
        append(lifecycle, event);
}

void lifecycle_tell(struct lifecycle *lifecycle, enum lifecycle_type type, enum lifecycle_action action,
                    struct str subject, struct str data, struct str about)
{
    struct turn *turn = lifecycle->router->mailbox.turn;
    struct buf json = {0};
    char id[UUID_LEN + 1];
    if (lifecycle_tells(lifecycle->settings, type)) {
        uuid_v7(turn_wall_ms(turn), id);
        const struct lifecycle_head head = {.type = type,
                                            .node = lifecycle->node_id,
                                            .id = str_from(id, UUID_LEN),
                                            .subject = subject,
                                            .wall_ms = turn_wall_ms(turn)};
        lifecycle_write_json(&json, &head, data);
    }
    if (json.len || action != LIFECYCLE_TELL) {
        struct lifecycle_event *event = lifecycle_event_create(type, action, subject, buf_str(&json), about);
        if (type == LIFECYCLE_DROPPED)
            append(lifecycle, event);
        else
            lifecycle_append(lifecycle, event);
    }
    buf_fini(&json);
}
