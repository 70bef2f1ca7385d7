/* redis_event.h - one event as JSON, the way it travels over a channel's live pub/sub channel and lies in its log:
 *   {"type":…,"channel":…,"id":…,"timestamp":…,"epoch":…,"offset":…,"data":…}
 * A backend that publishes directly sends {"type":…,"data":…} and, if it likes, "id", "timestamp" and "channel". Pure.
 */
#ifndef CARILLON_BROKER_REDIS_REDIS_EVENT_H
#define CARILLON_BROKER_REDIS_REDIS_EVENT_H

#include "common/protocol/event.h"

/* Reads bytes, a message of channel's live channel. out borrows from bytes, channel and scratch (cleared at the
 * beginning). A missing id or timestamp stays empty. out_direct: it came from a backend, not from a node. limits are
 * for the former: a node has applied its own to what it publishes. ERR_INVALID_REQUEST or ERR_TOO_LARGE say what is
 * wrong, not with which values. */
enum err redis_event_parse(struct str bytes, struct str channel, const struct event_limits *limits, struct buf *scratch,
                           struct event *out, bool *out_direct, struct error *error);

/* Reads {"type":"gap","data":{"reason":…,"epoch":…,"offset":…,"id":…}}, with which a script tells on the live channel
 * that an epoch has been begun, at that position; the id may be missing. No event is like it. out borrows from scratch
 * (cleared at the beginning). */
bool redis_event_parse_epoch(struct str bytes, struct buf *scratch, struct position *out);

/* Appends the event up to the place where ,"epoch":…,"offset":… go, and the rest of it. event->epoch and offset are not
 * used: Redis puts them between. */
void redis_event_head(struct buf *out, const struct event *event);
void redis_event_tail(struct buf *out, const struct event *event);

#endif
