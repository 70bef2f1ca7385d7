/* observer.h - hears what happens to the sessions and channels of one hub. Observers are the counters of sessions and
 * channels (hub.c), presence (channel_presence.c) and lifecycle events (node/lifecycle_watch.h).
 *
 * - A session: opened, closed.
 * - A channel of a session: subscribed, unsubscribed.
 * - A channel: occupied, vacated. All subscriptions of the channel lie between them.
 * - A request that becomes no session: refused.
 *
 * Each event is told in the hub's thread, when it happens. No event comes twice, and the second of a pair comes only
 * after the first. A subscription that is refused, or ended before the channel was ready, is not told. A function may
 * read, and it may post mail. It must not call back into the hub: the hub may be walking its lists. */
#ifndef CARILLON_CORE_OBSERVER_H
#define CARILLON_CORE_OBSERVER_H

#include "common/base/list.h"
#include "common/protocol/reason.h"

struct channel;
struct hub;
struct session;

/* A request to the public listener that is refused, or whose answer a browser will not accept. All is borrowed. */
struct refusal {
    struct str path;     /* without the query; empty: the request could not be read */
    struct str address;  /* the client's, as text */
    struct str origin;   /* of the page that sent it; empty: a program */
    enum reason reason;  /* REASON_NONE: the form of the request is wrong */
    int status;          /* of the HTTP answer; 101: the upgrade was accepted */
    int close_code;      /* of the close frame that follows; 0: none */
    struct str sentence; /* for a developer: what is wrong, and what to do. The client may have been told less */
};

/* Part of the struct that listens. A function may be NULL. Session and channel are borrowed for the call. */
struct observer {
    struct list_link link; /* of the hub */
    /* The session has been admitted. */
    void (*opened)(struct observer *observer, const struct session *session);
    /* The session's connection has ended. It has been unsubscribed from all its channels. REASON_NONE: by the client,
     * or with the code of a backend. */
    void (*closed)(struct observer *observer, const struct session *session, enum reason reason);
    /* The client is told `subscribed` next. */
    void (*subscribed)(struct observer *observer, const struct session *session, const struct channel *channel);
    void (*unsubscribed)(struct observer *observer, const struct session *session, const struct channel *channel);
    /* A first session wants the channel on this worker. The broker may still refuse it. */
    void (*occupied)(struct observer *observer, const struct channel *channel);
    /* The last session has left, and none has come within hub_settings.linger_us; or the broker has refused the
     * channel. Not told of channels that linger when the hub is destroyed. */
    void (*vacated)(struct observer *observer, const struct channel *channel);
    void (*refused)(struct observer *observer, const struct refusal *refusal);
};

/* The observer is borrowed until its link is taken out of the list, or for the hub's life. Observers are called in the
 * order in which they were added. An observer that comes or goes while there are sessions hears only one of some pairs.
 * Neither may happen from within a function of an observer. */
void hub_observe(struct hub *hub, struct observer *observer);

/* For the gate, in the hub's thread: tells the observers of a refusal. A sentence for nobody is not worth its making,
 * so the gate asks first whether anybody listens. */
bool hub_has_refusal_observer(const struct hub *hub);
void hub_refused(struct hub *hub, const struct refusal *refusal);

#endif
