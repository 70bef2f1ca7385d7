/* event.h - events: what publishers send and subscribers get (docs/protocol.md, "Events from the server").
 * Pure; any thread. */
#ifndef CARILLON_PROTOCOL_EVENT_H
#define CARILLON_PROTOCOL_EVENT_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/json/json.h"

/* EVENT_DEPTH_MAX: containers in one another in an event's data. By each way in the same: what stands around data,
 * which differs, does not count. */
enum { EVENT_TYPE_MAX = 64, EVENT_ID_MAX = 128, EPOCH_MAX = 32, EVENT_DEPTH_MAX = 128 };

/* Of the ids of events that have an offset: brokers give them UUIDs. */
enum { POSITION_ID_MAX = 36 };

/* A place in a channel's history: right after that event. All borrowed. */
struct position {
    struct str epoch; /* empty: the channel has no history */
    uint64_t offset;  /* of the event; 0: before the first one */
    struct str id;    /* of the event; empty: there is none, or it is not known */
};

/* All borrowed. */
struct event {
    struct str channel;
    struct str type;
    struct str id;        /* given by the broker; empty for a live-only event that came without one */
    struct str epoch;     /* empty on channels without history */
    uint64_t offset;      /* 0 on channels without history; the first event of an epoch is 1 */
    struct str timestamp; /* RFC 3339 with milliseconds, UTC */
    struct str data;      /* one valid JSON value, as the publisher wrote it */
};

/* What a publisher wants to send, by whichever way it comes: a WebSocket, the HTTP API (publish, broadcast, batch), the
 * ingest stream, a PUBLISH in Redis. All borrowed. */
struct event_offer {
    struct str channel;
    struct str type;
    struct json_value data; /* has passed json_check */
    struct str event_id;
    bool has_event_id;
};

struct event_limits {
    size_t data_bytes; /* limits.event_bytes */
    bool custom;       /* types other than the built-in ones: events.custom */
};

/* Is it an event that may be published? The one place where that is decided, but for the channel (channel_check) and
 * rights. ERR_TOO_LARGE, or ERR_INVALID_REQUEST with the member that is wrong. */
enum err event_offer_check(const struct event_offer *offer, const struct event_limits *limits, struct error *error);

/* Checks type and data alone: type is well-formed ([a-z][a-z0-9_.-]{0,63}) and not a reserved control type; built-in
 * types have their required members of the right kind in data; other types need custom. data must have passed
 * json_check. ERR_INVALID_REQUEST names the member that is wrong. */
enum err event_check(struct str type, struct str data, bool custom, struct error *error);

/* Idempotency keys: 1 to 128 bytes of printable ASCII without spaces. */
enum err event_id_check(struct str event_id, struct error *error);

/* Appends the event as subscribers get it: one JSON object, data spliced byte for byte. */
void event_encode(struct buf *out, const struct event *event);

/* The id in what event_encode has written, borrowed; empty if there is none, or one that had to be escaped. */
struct str event_encoded_id(struct str json);

/* Keeps the id of a position. One that is too long is no broker's: it is kept as not known. */
void position_keep_id(char out[POSITION_ID_MAX + 1], struct str id);

#endif
