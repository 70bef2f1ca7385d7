/* lifecycle_feed.h - sends lifecycle events (core/lifecycle_event.h) on to a backend by HTTP, in batches of CloudEvents
 * (application/cloudevents-batch+json), signed by the rules of Standard Webhooks if there are secrets.
 *
 * 1. One node of all is the reader of the stream. It stays the reader as long as it says so.
 * 2. The reader sends the next events, and waits for an answer 2xx. Then it says to the broker how far it is.
 * 3. After any other answer it sends the same batch again, with the same ids. The pauses grow up to retry_max.
 * 4. When the reader dies, another node goes on. So an event may come twice, and never out of order.
 * 5. Events that the stream has lost before they were sent are counted, and an event `lifecycle.dropped` tells it.
 *
 * A feed lives in the thread of its turn. */
#ifndef CARILLON_UPSTREAM_LIFECYCLE_FEED_H
#define CARILLON_UPSTREAM_LIFECYCLE_FEED_H

#include "common/base/mailbox.h"
#include "server/core/hub.h"
#include "server/outbound/outbound.h"

struct lifecycle_feed;
struct webhook_secrets;

/* All are borrowed for the feed's life. */
struct lifecycle_feed_options {
    struct turn *turn;
    struct outbound *outbound;
    const struct node_ops *node;
    void *node_owner;
    struct str node_id;
    struct metrics *metrics; /* of the turn's thread */
};

struct lifecycle_feed_settings {
    struct outbound_target *target;  /* a reference; taken */
    struct webhook_secrets *secrets; /* taken; NULL: batches are not signed */
    struct str stream;               /* copied */
    uint64_t batch;                  /* events */
    uint64_t retry_max_us;
};

/* It is off. */
struct lifecycle_feed *lifecycle_feed_create(const struct lifecycle_feed_options *options);
/* Call when the node has answered all requests, and after outbound_stop: the end of a request that is under way
 * comes to the feed. */
void lifecycle_feed_destroy(struct lifecycle_feed *feed);

/* NULL: off. A batch under way is sent again by the new settings. */
void lifecycle_feed_configure(struct lifecycle_feed *feed, const struct lifecycle_feed_settings *settings);

/* The node ends. Sends what there is; call until it returns true. Then another node may go on at once. */
bool lifecycle_feed_flush(struct lifecycle_feed *feed);

/* Whether a request to the backend is under way. */
bool lifecycle_feed_is_sending(const struct lifecycle_feed *feed);

#endif
