/* api_publish.c - POST /api/v1/publish, and what broadcast and batch share with it: from JSON to a publication, and
 * from its answer to JSON. The fast path: one allocation for the publication, one for who waits. */
#include "common/protocol/channel_name.h"
#include "server/api/api_private.h"

enum err api_read_event(struct api *api, struct json_value object, const char *where, struct event_offer *out,
                        struct json_value *out_channels, struct error *error)
{
    struct json_value channel = {0}, type = {0}, data = {0}, event_id = {0}, exclude = {0};
    const struct json_field fields[] = {
        {out_channels ? "channels" : "channel", out_channels ? JSON_ARRAY : JSON_STRING, true,
         out_channels ? out_channels : &channel},
        {"type", JSON_STRING, true, &type},
        {"data", JSON_ANY, true, &data},
        {"event_id", JSON_STRING, false, &event_id},
        {"exclude_session", JSON_STRING, false, &exclude},
    };
    *out = (struct event_offer){0};
    enum err err = json_bind_given(object, where, fields, sizeof fields / sizeof *fields, error);
    if (!err)
        err = api_text(api, "channel", channel, &out->channel, error);
    if (!err)
        err = api_text(api, "type", type, &out->type, error);
    if (!err)
        err = api_text(api, "event_id", event_id, &out->event_id, error);
    if (!err)
        err = api_text(api, "exclude_session", exclude, &out->exclude, error);
    out->has_event_id = event_id.type != 0;
    out->data = data;
    return err;
}

enum err api_check_event(const struct api *api, const struct event_offer *event, struct error *error)
{
    const struct event_limits limits = {api->config.event_bytes, api->config.custom_events};
    return event_offer_check(event, &limits, error);
}

struct publication *api_make_publication(struct api *api, const struct event_offer *event)
{
    struct publication *publication = publication_create(event, STR(""));
    publication->history = rules_keeping(api->config.rules, event->channel).history;
    publication->accepted_us = api->ops->now_us(api->owner);
    metrics_add_labelled(api->metrics, METRIC_EVENTS_IN, METRICS_SOURCE_HTTP, 1);
    metrics_add(api->metrics, METRIC_EVENTS_IN_BYTES, event->data.raw.len);
    return publication;
}

void api_append_published(struct buf *out, const struct publication *publication)
{
    if (publication->base.error) {
        api_append_error(out, publication->base.error);
        return;
    }
    buf_append_lit(out, "\"id\":\"");
    buf_append(out, str_from_cstr(publication->id));
    buf_append_char(out, '"');
    if (publication->epoch[0]) {
        buf_append_lit(out, ",\"epoch\":");
        json_append_string(out, str_from_cstr(publication->epoch));
        buf_append_lit(out, ",\"offset\":");
        buf_append_u64(out, publication->offset);
    }
    if (publication->duplicate)
        buf_append_lit(out, ",\"duplicate\":true");
}

static void published(const struct api_request *request, struct request *asked)
{
    struct buf *out = &request->call->response.body;
    buf_append_char(out, '{');
    api_append_published(out, publication_of(asked));
    buf_append_char(out, '}');
    api_respond(request, 200);
}

void api_publish(const struct api_request *request)
{
    struct event_offer event;
    struct error error;
    struct json_value body;
    enum err err = api_read_body(request, &body, &error);
    if (!err)
        err = api_read_event(request->api, body, "", &event, NULL, &error);
    if (!err)
        err = channel_check(event.channel, &error);
    if (!err)
        err = api_check_event(request->api, &event, &error);
    if (err) {
        api_respond_error(request, &error);
        return;
    }
    api_ask(request, &api_make_publication(request->api, &event)->base, published);
}
