/* redis_later.c - see redis_later.h. */
#include "server/broker/redis_later.h"

#include "server/broker/redis_parts.h"

enum { LATER_MS = 20 };

static void deliver_all(struct redis_later *later)
{
    struct mail *next, *mail = later->first;
    later->first = later->last = NULL; /* what is put from here on waits for the next time */
    for (; mail; mail = next) {
        next = mail->next;
        mail->deliver(mail, later->broker);
    }
}

static void on_timer(uv_timer_t *timer)
{
    deliver_all(timer->data);
}

void redis_later_put(struct redis_later *later, struct mail *mail)
{
    if (later->closing) {
        mail->deliver(mail, later->broker);
        return;
    }
    mail->next = NULL;
    if (later->last)
        later->last->next = mail;
    else
        later->first = mail;
    later->last = mail;
    if (!uv_is_active((uv_handle_t *)&later->timer))
        uv_timer_start(&later->timer, on_timer, LATER_MS, 0);
}

void redis_later_init(struct redis_later *later, struct redis_broker *broker)
{
    later->broker = broker;
    uv_timer_init(broker->config.turn->wake.loop, &later->timer);
    later->timer.data = later;
    broker->open++;
}

static void on_closed(uv_handle_t *timer)
{
    redis_broker_part_closed(((struct redis_later *)timer->data)->broker);
}

void redis_later_close(struct redis_later *later)
{
    later->closing = true;
    deliver_all(later);
    uv_close((uv_handle_t *)&later->timer, on_closed);
}
