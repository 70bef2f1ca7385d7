/* lifecycle_event.c - see lifecycle_event.h. */
#include "server/core/lifecycle_event.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/json/json.h"

const char *lifecycle_type_text(enum lifecycle_type type)
{
    static const char *const texts[] = {
#define LIFECYCLE(symbol, text) [LIFECYCLE_##symbol] = text,
#include "common/protocol/lifecycle_types.def"
#undef LIFECYCLE
    };
    return texts[type];
}

struct lifecycle_event *lifecycle_event_create(enum lifecycle_type type, enum lifecycle_action action, struct str key,
                                               struct str json, struct str about)
{
    struct lifecycle_event *event = xmalloc(sizeof *event + key.len + json.len + about.len);
    memset(event, 0, sizeof *event);
    event->type = type;
    event->action = action;
    char *at = event->bytes;
    event->key = str_pack(&at, key);
    event->json = str_pack(&at, json);
    event->about = str_pack(&at, about);
    return event;
}

size_t lifecycle_event_cost(const struct lifecycle_event *event)
{
    return sizeof *event + event->key.len + event->json.len + event->about.len;
}

#define BEGIN "{\"specversion\":\"1.0\",\"id\":\""
#define END   "}}"

bool lifecycle_is_event(struct str json)
{
    const size_t end_len = sizeof END - 1;
    return json.len > sizeof BEGIN + end_len && str_starts_with(json, STR(BEGIN)) &&
           memcmp(json.ptr + json.len - end_len, END, end_len) == 0;
}

void lifecycle_write_json(struct buf *out, const struct lifecycle_head *head, struct str data)
{
    char time[CLOCK_RFC3339_LEN + 1];
    clock_format(head->wall_ms, time);
    buf_append_lit(out, BEGIN);
    if (head->id.len) {
        buf_append(out, head->id);
    } else {
        buf_append(out, head->subject);
        buf_append_char(out, '.');
        buf_append_u64(out, head->sequence);
    }
    buf_append_lit(out, "\",\"source\":\"/nodes/");
    buf_append(out, head->node);
    buf_append_lit(out, "\",\"type\":\"carillon.");
    buf_append(out, str_from_cstr(lifecycle_type_text(head->type)));
    if (head->sequence) { /* a session: its id needs no escapes */
        buf_append_lit(out, "\",\"subject\":\"");
        buf_append(out, head->subject);
        buf_append_lit(out, "\",\"time\":\"");
    } else {
        buf_append_lit(out, "\",\"subject\":");
        json_append_string(out, head->subject);
        buf_append_lit(out, ",\"time\":\"");
    }
    buf_append(out, str_from(time, CLOCK_RFC3339_LEN));
    if (head->sequence) {
        buf_append_lit(out, "\",\"sequence\":\"");
        buf_append_u64(out, head->sequence);
    }
    buf_append_lit(out, "\",\"datacontenttype\":\"application/json\",\"data\":{");
    buf_append(out, data);
    buf_append_lit(out, END);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void set_stream(char out[LIFECYCLE_STREAM_MAX + 1], struct str stream)
{
    assert(stream.len <= LIFECYCLE_STREAM_MAX);
    memcpy(out, stream.ptr, stream.len);
}

static void fini_write(struct request *request)
{
    struct lifecycle_write *write = lifecycle_write_of(request);
    for (size_t i = 0; i < write->count; i++)
        free(write->events[i]);
}

struct lifecycle_write *lifecycle_write_create(struct str stream)
{
    struct lifecycle_write *write = xcalloc(1, sizeof *write);
    write->base.kind = REQUEST_LIFECYCLE_WRITE;
    write->base.fini = fini_write;
    set_stream(write->stream, stream);
    return write;
}

struct lifecycle_lost *lifecycle_lost_create(struct str stream)
{
    struct lifecycle_lost *lost = xcalloc(1, sizeof *lost);
    lost->base.kind = REQUEST_LIFECYCLE_LOST;
    set_stream(lost->stream, stream);
    return lost;
}

static void fini_read(struct request *request)
{
    buf_fini(&lifecycle_read_of(request)->events);
}

struct lifecycle_read *lifecycle_read_create(struct str stream)
{
    struct lifecycle_read *read = xcalloc(1, sizeof *read);
    read->base.kind = REQUEST_LIFECYCLE_READ;
    read->base.fini = fini_read;
    set_stream(read->stream, stream);
    return read;
}
