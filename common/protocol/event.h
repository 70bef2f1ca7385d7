/* event.h - events, which publishers send and subscribers get (docs/protocol.md, "Events"). Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_EVENT_H
#define CARILLON_PROTOCOL_EVENT_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/json/json.h"

/* EVENT_DEPTH_MAX: nested containers in an event's data. It is the same for each way to publish: containers around
 * data, which differ, do not count. */
enum { EVENT_TYPE_MAX = 64, EVENT_ID_MAX = 128, EPOCH_MAX = 32, EVENT_DEPTH_MAX = 128 };

/* Bytes of the id of an event with an offset. Brokers give such events UUIDs. */
enum { POSITION_ID_MAX = 36 };

/* A place in a channel's history: right after the event of this offset. All borrowed. */
struct position {
    struct str epoch; /* empty: the channel has no history */
    uint64_t offset;  /* of the event; 0: before the first one */
    struct str id;    /* of the event; empty: there is no event, or the id is not known */
};

/* All borrowed. */
struct event {
    struct str channel;
    struct str type;
    struct str id;        /* given by the broker; empty for a live-only event that came without one */
    struct str epoch;     /* empty on channels without history */
    uint64_t offset;      /* 0 on channels without history; the first event of an epoch is 1 */
    struct str timestamp; /* RFC 3339 with milliseconds, UTC */
    struct str user;      /* the verified user of the client that published; empty: not named, or a backend published */
    struct str session;   /* the id of that client's session; empty: not named */
    struct str exclude;   /* the id of the session that does not get the event; empty: none. Subscribers never see it */
    struct str data;      /* one valid JSON value, as the publisher wrote it */
};

/* An event that a publisher wants to send. It may come by a WebSocket, the HTTP API (publish, broadcast, batch), the
 * ingest stream, or a PUBLISH in Redis. All borrowed. */
struct event_offer {
    struct str channel;
    struct str type;
    struct json_value data; /* has passed json_check */
    struct str event_id;
    bool has_event_id;
    struct str user, session; /* as in struct event; empty: none */
    struct str exclude;       /* as in struct event; ptr NULL: none */
};

struct event_limits {
    size_t data_bytes; /* limits.event_bytes */
    bool custom;       /* types other than the built-in ones: events.custom */
};

/* May this event be published? This function alone decides that, except for the channel (channel_check) and rights.
 * ERR_TOO_LARGE, or ERR_INVALID_REQUEST with the wrong member. */
enum err event_offer_check(const struct event_offer *offer, const struct event_limits *limits, struct error *error);

/* Checks type and data alone. type is well-formed ([a-z][a-z0-9_.-]{0,63}) and not a reserved control type. The data of
 * a built-in type has the required members of the right kind. Other types need custom. data must have passed
 * json_check. ERR_INVALID_REQUEST names the wrong member. */
enum err event_check(struct str type, struct str data, bool custom, struct error *error);

/* Is it the type of a frame of the protocol itself, which no event may have? */
bool event_type_is_reserved(struct str type);

/* Checks an idempotency key: 1 to 128 bytes of printable ASCII without spaces. */
enum err event_id_check(struct str event_id, struct error *error);

/* True for the form of a session's id: 36 characters, hexadecimal digits and '-'. */
bool session_id_is_formed(struct str session_id);

/* Appends the event as subscribers get it: one JSON object, with data copied byte for byte. */
void event_encode(struct buf *out, const struct event *event);

/* Takes apart what event_encode has written. That text has neither epoch nor exclude: they are empty in *out. *out
 * borrows from json and from scratch, which is cleared first. */
void event_decode(struct str json, struct buf *scratch, struct event *out);

/* The id in the text of event_encode, borrowed. Empty if there is no id, or if the id had to be escaped. */
struct str event_encoded_id(struct str json);

/* Copies the id of a position. No broker gives a longer id than POSITION_ID_MAX: such an id is kept as not known. */
void position_keep_id(char out[POSITION_ID_MAX + 1], struct str id);

#endif
