/* message.c - see message.h. */
#include "server/core/message.h"

#include "common/base/alloc.h"
#include "common/protocol/event_frame.h"

static struct message *allocate(size_t frame_len, size_t channel_len, size_t epoch_len, size_t exclude_len)
{
    struct message *message = xmalloc(sizeof *message + frame_len + channel_len + epoch_len + exclude_len);
    message->mail = (struct mail){0};
    message->encodings = NULL;
    message->format = NULL;
    message->refs = 1;
    message->frame_len = (uint32_t)frame_len;
    message->channel_len = (uint32_t)channel_len;
    message->epoch_len = (uint16_t)epoch_len;
    message->exclude_len = (uint16_t)exclude_len;
    message->offset = 0;
    message->accepted_us = 0;
    return message;
}

static void put(char *at, struct str bytes)
{
    if (bytes.len)
        memcpy(at, bytes.ptr, bytes.len);
}

struct message *message_create(struct str frame)
{
    struct message *message = allocate(frame.len, 0, 0, 0);
    put(message->bytes, frame);
    return message;
}

struct message *message_from_json(const struct event *event, struct str json, uint64_t accepted_us)
{
    uint8_t header[EVENT_FRAME_HEADER_MAX];
    size_t header_len = event_frame_header(header, json.len);
    struct message *message = allocate(header_len + json.len, event->channel.len, event->epoch.len, event->exclude.len);
    memcpy(message->bytes, header, header_len);
    put(message->bytes + header_len, json);
    char *at = message->bytes + message->frame_len;
    put(at, event->channel);
    put(at += event->channel.len, event->epoch);
    put(at + event->epoch.len, event->exclude);
    message->offset = event->offset;
    message->accepted_us = accepted_us;
    return message;
}

struct message *message_from_event(const struct event *event, uint64_t accepted_us)
{
    struct buf text = {0};
    buf_reserve(&text, event->data.len + event->channel.len + 256);
    event_encode(&text, event);
    struct message *message = message_from_json(event, buf_str(&text), accepted_us);
    buf_fini(&text);
    return message;
}

void message_free(struct message *message)
{
    if (message->encodings)
        message_unref(message->encodings);
    free(message);
}

struct str message_id(const struct message *message)
{
    return event_encoded_id(event_frame_json(message_frame(message)));
}

void message_event(const struct message *message, struct buf *scratch, struct event *out)
{
    event_decode(event_frame_json(message_frame(message)), scratch, out);
    out->epoch = message_epoch(message);
    out->exclude = message_exclude(message);
}

struct message *message_copy(const struct message *original)
{
    struct message *copy =
        allocate(original->frame_len, original->channel_len, original->epoch_len, original->exclude_len);
    memcpy(copy->bytes, original->bytes,
           original->frame_len + original->channel_len + original->epoch_len + original->exclude_len);
    copy->offset = original->offset;
    copy->accepted_us = original->accepted_us;
    return copy;
}
