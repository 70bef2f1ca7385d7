/* reply.h - what the server says besides events (docs/protocol.md, "Frames"): each function appends one JSON object
 * to out. `id` is the command's raw id and is left out when empty. Times are milliseconds since 1970 UTC and appear as
 * RFC 3339. Pure; any thread. */
#ifndef CARILLON_PROTOCOL_REPLY_H
#define CARILLON_PROTOCOL_REPLY_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/protocol/event.h"

struct session_init {
    struct str session_id;
    uint64_t wall_ms;
    struct str user;
    uint64_t expires_ms; /* 0: null */
    uint64_t ping_interval_s;
    uint64_t message_bytes;
    uint64_t channels;
};

void reply_session_init(struct buf *out, const struct session_init *init);
/* The position is left out when its epoch is empty (a channel without history), and of it an id that is not known. */
void reply_subscribed(struct buf *out, struct str id, struct str channel, const struct position *position,
                      bool recovered);
void reply_unsubscribed(struct buf *out, struct str id, struct str channel);
void reply_pong(struct buf *out, struct str id, uint64_t wall_ms);
void reply_published(struct buf *out, struct str id, struct str channel, struct str event_id, struct str epoch,
                     uint64_t offset, bool duplicate);
void reply_refreshed(struct buf *out, struct str id, uint64_t expires_ms);
/* channel is left out when empty. {"type":"error","id":..,"error":{"code":..,"message":..,"channel":..}} */
void reply_error(struct buf *out, struct str id, enum err code, struct str message, struct str channel);
void reply_warning(struct buf *out, const char *code, struct str message);
void reply_reconnect(struct buf *out, const char *reason, uint64_t after_ms);
/* events: JSON objects joined by commas. epoch empty: the channel has no history, and offset is left out too. */
void reply_history(struct buf *out, struct str id, struct str channel, struct str epoch, uint64_t offset,
                   struct str events, bool more);
/* members: what stands in data, without its braces. */
void reply_presence(struct buf *out, struct str id, struct str channel, struct str members);
/* position: where the channel stands now. */
void reply_gap(struct buf *out, struct str channel, const char *reason, const struct position *position);

#endif
