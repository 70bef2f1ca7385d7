/* azure.c - see azure.h. */
#include "server/upstream/azure.h"

#include "common/base/clock.h"
#include "server/upstream/webhook.h"

static void write_header(struct buf *out, const char *name, struct str value)
{
    buf_appendf(out, "%s: ", name);
    cloudevent_append_value(out, value);
    buf_append_lit(out, "\r\n");
}

void azure_write_session(struct buf *out, struct str hub, const struct cloudevent_session *session)
{
    buf_append_lit(out, "ce-specversion: 1.0\r\nce-awpsversion: 1.0\r\n");
    write_header(out, "ce-hub", hub);
    buf_appendf(out, "ce-source: /hubs/%.*s/client/%.*s\r\n", STR_ARG(hub), STR_ARG(session->id));
    write_header(out, "ce-connectionid", session->id);
    write_header(out, "ce-userid", session->user);
    if (session->subprotocol.len)
        write_header(out, "ce-subprotocol", session->subprotocol);
}

void azure_write(struct buf *out, const struct cloudevent *event, struct webhook_secrets *secrets)
{
    char time[CLOCK_RFC3339_LEN + 1];
    const char *name = cloudevent_type_text(event->type) + sizeof "carillon." - 1;
    clock_format(event->wall_ms, time);
    buf_append_lit(out, "webhook-request-origin: " AZURE_ORIGIN "\r\n");
    buf_appendf(out, "ce-type: azure.webpubsub.%s.%s\r\nce-eventname: %s\r\nce-time: %s\r\nce-id: ",
                event->type == CLOUDEVENT_MESSAGE ? "user" : "sys", name, name, time);
    cloudevent_append_id(out, event);
    buf_append_lit(out, "\r\n");
    if (event->state.len)
        buf_appendf(out, "ce-connectionstate: %.*s\r\n", STR_ARG(event->state));
    webhook_write_hex(out, secrets, "ce-signature", "sha256=", event->session_id);
}

/* Each claim is an array of strings: a string stands for itself, anything else for its JSON. */
static void append_claim(struct buf *out, struct json_value value)
{
    struct json_cursor at;
    struct json_value item;
    struct str key;
    char before = '[';
    if (value.type != JSON_ARRAY) {
        buf_append_char(out, '[');
        if (value.type == JSON_STRING)
            buf_append(out, value.raw);
        else
            json_append_string(out, value.raw);
        buf_append_char(out, ']');
        return;
    }
    at = json_walk(value);
    while (json_next(&at, &key, &item)) {
        buf_append_char(out, before);
        if (item.type == JSON_STRING)
            buf_append(out, item.raw);
        else
            json_append_string(out, item.raw);
        before = ',';
    }
    buf_append(out, before == '[' ? STR("[]") : STR("]"));
}

static void append_claims(struct buf *out, struct json_value claims)
{
    struct json_value value;
    struct str key;
    char before = '{';
    if (claims.type == JSON_OBJECT) {
        struct json_cursor at = json_walk(claims);
        while (json_next(&at, &key, &value)) {
            buf_appendf(out, "%c\"%.*s\":", before, STR_ARG(key));
            append_claim(out, value);
            before = ',';
        }
    }
    buf_append(out, before == '{' ? STR("{}") : STR("}"));
}

static void append_values(struct buf *out, const struct origin_values *values)
{
    buf_append_char(out, '{');
    for (size_t i = 0; i < values->count; i++) {
        if (i)
            buf_append_char(out, ',');
        json_append_string(out, values->items[i].name);
        buf_append_lit(out, ":[");
        json_append_string(out, values->items[i].value);
        buf_append_char(out, ']');
    }
    buf_append_char(out, '}');
}

void azure_write_connect(struct buf *out, struct json_value claims, const struct session_origin *origin)
{
    buf_append_lit(out, "{\"claims\":");
    append_claims(out, claims);
    buf_append_lit(out, ",\"query\":");
    append_values(out, &origin->query);
    buf_append_lit(out, ",\"headers\":");
    append_values(out, &origin->headers);
    buf_append_lit(out, ",\"subprotocols\":[");
    for (size_t i = 0; i < origin->offered_count; i++) {
        if (i)
            buf_append_char(out, ',');
        json_append_string(out, origin->offered[i]);
    }
    buf_append_lit(out, "],\"clientCertificates\":[]}");
}

void azure_write_disconnected(struct buf *out, struct str reason)
{
    buf_append_lit(out, "{\"reason\":");
    json_append_string(out, reason);
    buf_append_char(out, '}');
}

bool azure_is_allowed(struct str allowed_origin)
{
    struct str rest = allowed_origin;
    while (rest.ptr) {
        struct str one = str_trim(str_split(&rest, ','));
        if (str_eq(one, STR("*")) || str_eq_nocase(one, STR(AZURE_ORIGIN)))
            return true;
    }
    return false;
}
