/* observer.c - see observer.h. Here: each event goes to all observers of the hub. */
#include "server/core/observer.h"

#include "server/core/hub_private.h"

void hub_observe(struct hub *hub, struct observer *observer)
{
    list_append(&hub->observers, &observer->link);
}

static struct observer *observer_of(struct list_link *link)
{
    return CONTAINER_OF(link, struct observer, link);
}

void observe_opened(struct hub *hub, const struct session *session)
{
    LIST_EACH(link, &hub->observers)
    if (observer_of(link)->opened)
        observer_of(link)->opened(observer_of(link), session);
}

void observe_closed(struct hub *hub, const struct session *session)
{
    LIST_EACH(link, &hub->observers)
    if (observer_of(link)->closed)
        observer_of(link)->closed(observer_of(link), session, session->closing_reason);
}

void observe_subscribed(struct hub *hub, const struct session *session, const struct channel *channel)
{
    LIST_EACH(link, &hub->observers)
    if (observer_of(link)->subscribed)
        observer_of(link)->subscribed(observer_of(link), session, channel);
}

void observe_unsubscribed(struct hub *hub, const struct session *session, const struct channel *channel)
{
    LIST_EACH(link, &hub->observers)
    if (observer_of(link)->unsubscribed)
        observer_of(link)->unsubscribed(observer_of(link), session, channel);
}

void observe_occupied(struct hub *hub, const struct channel *channel)
{
    LIST_EACH(link, &hub->observers)
    if (observer_of(link)->occupied)
        observer_of(link)->occupied(observer_of(link), channel);
}

void observe_vacated(struct hub *hub, const struct channel *channel)
{
    LIST_EACH(link, &hub->observers)
    if (observer_of(link)->vacated)
        observer_of(link)->vacated(observer_of(link), channel);
}

bool hub_has_refusal_observer(const struct hub *hub)
{
    LIST_EACH(link, &hub->observers)
    if (observer_of(link)->refused)
        return true;
    return false;
}

void hub_refused(struct hub *hub, const struct refusal *refusal)
{
    LIST_EACH(link, &hub->observers)
    if (observer_of(link)->refused)
        observer_of(link)->refused(observer_of(link), refusal);
}
