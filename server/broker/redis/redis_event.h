/* redis_event.h - an event as JSON, in the live pub/sub channel and in the log of its channel:
 *   {"type":…,"channel":…,"id":…,"timestamp":…,"user":…,"session":…,"exclude_session":…,"epoch":…,"offset":…,"data":…}
 * Members that the event does not have are left out. A node ignores members that it does not know, so nodes of another
 * version can read the event.
 *
 * A backend that publishes directly sends {"type":…,"data":…}. It may add "id", "timestamp", "channel" and
 * "exclude_session". Pure. */
#ifndef CARILLON_BROKER_REDIS_REDIS_EVENT_H
#define CARILLON_BROKER_REDIS_REDIS_EVENT_H

#include "common/protocol/event.h"

/* Reads a message of the live channel. out borrows from bytes, channel and scratch, which is cleared first. A missing
 * id or timestamp stays empty. out_direct: a backend has published the event, not a node. limits hold for such an event
 * alone, because a node applies its own limits before it publishes. ERR_INVALID_REQUEST and ERR_TOO_LARGE say what is
 * wrong without telling values. */
enum err redis_event_parse(struct str bytes, struct str channel, const struct event_limits *limits, struct buf *scratch,
                           struct event *out, bool *out_direct, struct error *error);

/* Reads {"type":"gap","data":{"reason":…,"epoch":…,"offset":…,"id":…}}. A script tells by this message on the live
 * channel that it has begun an epoch at that position. The id may be missing. No event looks like it. out borrows from
 * scratch, which is cleared first. */
bool redis_event_parse_epoch(struct str bytes, struct buf *scratch, struct position *out);

/* Append the event: the head up to the place of ,"epoch":…,"offset":… and the tail after it. Redis inserts the position
 * there. event->epoch and event->offset are not used. */
void redis_event_head(struct buf *out, const struct event *event);
void redis_event_tail(struct buf *out, const struct event *event);

#endif
