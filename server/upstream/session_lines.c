/* session_lines.c - see session_lines.h. */
#include "server/upstream/session_lines.h"

#include "common/protocol/passed_header.h"
#include "server/upstream/azure.h"
#include "server/upstream/cloudevents.h"

void write_origin_values(struct buf *out, const struct origin_values *values)
{
    char before = '{';
    for (size_t i = 0; i < values->count; i++) {
        buf_append_char(out, before);
        json_append_string(out, values->items[i].name);
        buf_append_char(out, ':');
        json_append_string(out, values->items[i].value);
        before = ',';
    }
    if (before == '{')
        buf_append_char(out, '{');
    buf_append_char(out, '}');
}

static void write_passed_headers(struct buf *out, const struct session_origin *origin)
{
    for (size_t i = 0; i < origin->headers.count; i++)
        if (passed_header_is_good(origin->headers.items[i].name))
            cloudevent_write_passed(out, origin->headers.items[i].name, origin->headers.items[i].value);
}

void write_session_lines(struct buf *out, const struct session_lines *lines)
{
    const struct session_origin *origin = lines->origin;
    struct buf picked = {0}, query = {0}, path = {0};
    struct cloudevent_session told = {.endpoint = STR("/"), .id = lines->uuid, .user = lines->claims->sub};
    cloudevent_pick(&picked, lines->claims->payload, lines->names, lines->name_count);
    told.claims = buf_str(&picked);
    if (origin) {
        told.endpoint = origin->endpoint;
        told.subprotocol = origin->subprotocol;
        if (origin->query.count)
            write_origin_values(&query, &origin->query);
        if (origin->names.count)
            write_origin_values(&path, &origin->names);
        told.query = buf_str(&query);
        told.path = buf_str(&path);
    }
    buf_clear(out);
    if (lines->azure_hub.len)
        azure_write_session(out, lines->azure_hub, &told);
    else
        cloudevent_write_session(out, &told);
    if (origin)
        write_passed_headers(out, origin);
    buf_fini(&picked);
    buf_fini(&query);
    buf_fini(&path);
}
