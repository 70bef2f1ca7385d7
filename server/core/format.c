/* format.c - see format.h. */
#include "server/core/format.h"

#include "common/base/alloc.h"
#include "common/protocol/event_frame.h"

/* The message that has been framed, or NULL. */
static struct message *take_frame(struct formats *formats)
{
    return formats->frame.len ? message_create(buf_str(&formats->frame)) : NULL;
}

static struct message *make_ping(struct formats *formats, const struct framing *framing)
{
    buf_clear(&formats->frame);
    if (framing->ping)
        framing->ping(&formats->frame);
    return take_frame(formats);
}

static bool fits(const struct format *format, const struct endpoint *endpoint, const struct framing *framing)
{
    return format->dialect == endpoint->dialect && format->framing == framing && format->frames == endpoint->frames &&
           format->deliver_data == endpoint->deliver_data;
}

struct format *formats_get(struct formats *formats, const struct endpoint *endpoint, const struct framing *framing)
{
    for (size_t i = 0; i < formats->count; i++)
        if (fits(formats->all[i], endpoint, framing))
            return formats->all[i];
    struct format *format = xmalloc(sizeof *format);
    *format = (struct format){
        .dialect = endpoint->dialect,
        .framing = framing,
        .frames = endpoint->frames,
        .deliver_data = endpoint->deliver_data,
        .ping = make_ping(formats, framing),
        .of_events = !endpoint->deliver_data && event_frame_is(endpoint->dialect->event, framing),
    };
    formats->all = xrealloc(formats->all, (formats->count + 1) * sizeof *formats->all);
    return formats->all[formats->count++] = format;
}

void formats_fini(struct formats *formats)
{
    for (size_t i = 0; i < formats->count; i++) {
        if (formats->all[i]->ping)
            message_unref(formats->all[i]->ping);
        free(formats->all[i]);
    }
    free(formats->all);
    buf_fini(&formats->text);
    buf_fini(&formats->frame);
    buf_fini(&formats->names);
}

struct message *format_reply(struct formats *formats, const struct format *format, const struct reply *reply)
{
    buf_clear(&formats->text);
    buf_clear(&formats->frame);
    if (format->frames >> reply->type & 1)
        format->dialect->reply(&formats->text, reply);
    if (formats->text.len)
        format->framing->message(&formats->frame, buf_str(&formats->text));
    return take_frame(formats);
}

struct message *format_raw(struct formats *formats, const struct format *format, bool binary, struct str bytes)
{
    const struct framing *framing = format->framing;
    buf_clear(&formats->frame);
    if (!binary)
        framing->message(&formats->frame, bytes);
    else if (framing->binary)
        framing->binary(&formats->frame, bytes);
    return take_frame(formats);
}

/* Empty where the dialect has no words for the event. */
static struct message *encode(struct formats *formats, const struct format *format, struct message *message)
{
    struct event event;
    message_event(message, &formats->names, &event);
    buf_clear(&formats->text);
    buf_clear(&formats->frame);
    if (format->deliver_data)
        buf_append(&formats->text, event.data);
    else
        format->dialect->event(&formats->text, &event);
    if (formats->text.len)
        format->framing->message(&formats->frame, buf_str(&formats->text));
    struct message *encoding = message_create(buf_str(&formats->frame));
    encoding->format = format;
    return encoding;
}

struct message *format_encode(struct formats *formats, const struct format *format, struct message *message)
{
    struct message **at = &message->encodings;
    while (*at && (*at)->format != format)
        at = &(*at)->encodings;
    if (!*at)
        *at = encode(formats, format, message);
    return (*at)->frame_len ? *at : NULL;
}

struct message *format_pong(struct formats *formats, const struct format *format, struct str payload)
{
    buf_clear(&formats->frame);
    if (format->framing->pong)
        format->framing->pong(&formats->frame, payload);
    return take_frame(formats);
}

struct message *format_close(struct formats *formats, const struct format *format, int code, struct str reason)
{
    buf_clear(&formats->frame);
    if (format->framing->close)
        format->framing->close(&formats->frame, code, reason);
    return take_frame(formats);
}
