/* event_frame.h - an event as most sessions get it: the JSON of event_encode in a WebSocket text frame. A node makes
 * these bytes once for each event, and sessions whose language and framing make the same bytes share them. For other
 * sessions an encoding is made from the JSON in the frame. Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_EVENT_FRAME_H
#define CARILLON_PROTOCOL_EVENT_FRAME_H

#include "common/protocol/event.h"
#include "common/protocol/ws_frame.h"

enum { EVENT_FRAME_HEADER_MAX = WS_HEADER_MAX };

/* Writes what stands before len bytes of JSON; returns its length. Nothing follows the JSON. */
size_t event_frame_header(uint8_t out[EVENT_FRAME_HEADER_MAX], size_t len);

/* The JSON in a whole frame, borrowed. */
struct str event_frame_json(struct str frame);

/* Do sessions whose events are encoded and framed so get exactly these bytes? */
bool event_frame_is(void (*encode)(struct buf *out, const struct event *event), const struct framing *framing);

#endif
