/* format.h - what the messages of a session are made in: a dialect, which of its frames are sent, and a framing. A hub
 * has one format for each combination in use. Its sessions share it, and with it the messages that are made in it. One
 * thread. */
#ifndef CARILLON_CORE_FORMAT_H
#define CARILLON_CORE_FORMAT_H

#include "server/core/endpoint.h"
#include "server/core/message.h"
#include "server/core/transport.h"

struct format {
    const struct dialect *dialect;
    const struct framing *framing;
    uint32_t frames; /* as in struct endpoint, as the next */
    bool deliver_data;
    struct message *ping; /* for all sessions of the format; NULL: the framing has none */
    bool of_events;       /* the format in which a node gives events to its hubs (message.h) */
};

/* Owned by a hub. A zeroed struct is empty. */
struct formats {
    struct format **all;
    size_t count;
    struct buf text, frame; /* messages are built here */
    struct buf names;       /* of an event, without escapes */
};

/* The format of the endpoint's sessions by this framing, made when it is asked for first. It stays until formats_fini.
 */
struct format *formats_get(struct formats *formats, const struct endpoint *endpoint, const struct framing *framing);
void formats_fini(struct formats *formats);

/* Each makes a message with one reference. NULL: the dialect or the framing has none for it, or it is not sent. */
struct message *format_reply(struct formats *formats, const struct format *format, const struct reply *reply);
/* A message as it is. */
struct message *format_raw(struct formats *formats, const struct format *format, bool binary, struct str bytes);
struct message *format_pong(struct formats *formats, const struct format *format, struct str payload);
struct message *format_close(struct formats *formats, const struct format *format, int code, struct str reason);

/* The event as sessions of this format get it, borrowed for as long as the event lives. It is encoded for the first of
 * them only. NULL: the dialect has no words for it. Not for a format that is of_events. */
struct message *format_encode(struct formats *formats, const struct format *format, struct message *event);

#endif
