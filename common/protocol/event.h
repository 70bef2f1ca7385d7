/* event.h - events: what publishers send and subscribers get (docs/protocol.md, "Events from the server").
 * Pure; any thread. */
#ifndef CARILLON_PROTOCOL_EVENT_H
#define CARILLON_PROTOCOL_EVENT_H

#include "common/base/buf.h"
#include "common/base/error.h"

enum { EVENT_TYPE_MAX = 64, EVENT_ID_MAX = 128, EPOCH_MAX = 32 };

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

/* Checks what a publisher sent: type is well-formed ([a-z][a-z0-9_.-]{0,63}) and not a reserved control type; built-in
 * types have their required members of the right kind in data; other types need custom. data must have passed
 * json_check. ERR_INVALID_REQUEST names the member that is wrong. */
enum err event_check(struct str type, struct str data, bool custom, struct error *error);

/* Idempotency keys: 1 to 128 bytes of printable ASCII without spaces. */
enum err event_id_check(struct str event_id, struct error *error);

/* Appends the event as subscribers get it: one JSON object, data spliced byte for byte. */
void event_encode(struct buf *out, const struct event *event);

#endif
