/* event_frame.c - see event_frame.h. */
#include "common/protocol/event_frame.h"

size_t event_frame_header(uint8_t out[EVENT_FRAME_HEADER_MAX], size_t len)
{
    return ws_frame_header(out, WS_TEXT, len);
}

struct str event_frame_json(struct str frame)
{
    uint8_t len = (uint8_t)frame.ptr[1]; /* of the payload, or how it is told (RFC 6455, 5.2) */
    size_t header_len = len < 126 ? 2 : len == 126 ? 4 : 10;
    return str_skip(frame, header_len);
}

bool event_frame_is(void (*encode)(struct buf *out, const struct event *event), const struct framing *framing)
{
    return encode == event_encode && framing == &ws_framing;
}
