/* message.h - bytes that are ready to be written to clients: one complete frame, encoded once, never changed.
 *
 * A node makes an event in one format (common/protocol/event_frame.h). Sessions of another format get another encoding
 * of the event. It is made for the first of them (format_encode), and it stays with the event's message.
 *
 * References are plain counters. One thread holds all references of a message. An event for several workers is copied
 * once for each worker (message_copy), and the whole copy is handed over. So threads never share a counter. */
#ifndef CARILLON_CORE_MESSAGE_H
#define CARILLON_CORE_MESSAGE_H

#include "common/base/mail.h"
#include "common/base/str.h"
#include "common/protocol/event.h"

struct format;

struct message {
    struct mail mail; /* its way to a worker */
    /* The encodings of an event in other formats, one reference each. Each is in the list of the one before. */
    struct message *encodings;
    const struct format *format; /* of an encoding in such a list */
    uint32_t refs;
    uint32_t frame_len;
    uint32_t channel_len;
    uint16_t epoch_len;
    uint16_t exclude_len; /* 0: all subscribers get it */
    uint64_t offset;      /* in the channel's history; 0: none */
    uint64_t accepted_us; /* monotonic, when the node got the event; 0: not an event */
    char bytes[];         /* the frame, then the channel's name, the epoch, and the id of the excluded session */
};

/* A message of a whole frame. It belongs to no channel. One reference. */
struct message *message_create(struct str frame);

/* The event as subscribers get it. One reference. */
struct message *message_from_event(const struct event *event, uint64_t accepted_us);

/* The same, from the JSON that event_encode has made of this event. Only channel, epoch, offset and exclude of *event
 * are read: the JSON has the others. */
struct message *message_from_json(const struct event *event, struct str json, uint64_t accepted_us);

/* The event of a message from one of the two functions above. *out borrows from the message and from scratch. */
void message_event(const struct message *message, struct buf *scratch, struct event *out);

/* A second, independent message of the same bytes, for another thread. One reference. */
struct message *message_copy(const struct message *message);

static inline struct message *message_ref(struct message *message)
{
    message->refs++;
    return message;
}

/* Part of message_unref: nobody refers to it. */
void message_free(struct message *message);

static inline void message_unref(struct message *message)
{
    if (--message->refs == 0)
        message_free(message);
}

static inline struct str message_frame(const struct message *m)
{
    return str_from(m->bytes, m->frame_len);
}

static inline struct str message_channel(const struct message *m)
{
    return str_from(m->bytes + m->frame_len, m->channel_len);
}

/* The id of an event, from its frame. Empty if it has none. */
struct str message_id(const struct message *message);

static inline struct str message_epoch(const struct message *m)
{
    return str_from(m->bytes + m->frame_len + m->channel_len, m->epoch_len);
}

/* The id of the session that does not get the event; empty: none. */
static inline struct str message_exclude(const struct message *m)
{
    return str_from(m->bytes + m->frame_len + m->channel_len + m->epoch_len, m->exclude_len);
}

#endif
