/* api_health.c - /livez, /readyz and /metrics: for orchestrators and load balancers, without a key. */
#include "server/api/api_private.h"

void api_livez(const struct api_request *request)
{
    buf_append_lit(&request->call->response.body, "{\"status\":\"alive\"}");
    api_respond(request, 200);
}

/* Ready: this node takes connections, and what is published reaches them. */
void api_readyz(const struct api_request *request)
{
    const struct api *api = request->api;
    enum broker_state broker = api->ops->broker_state(api->owner);
    const char *status = "ready";
    if (api->ops->draining(api->owner))
        status = "draining";
    else if (broker == BROKER_CONNECTING)
        status = "starting";
    else if (broker == BROKER_DOWN)
        status = "broker_down";
    buf_appendf(&request->call->response.body, "{\"status\":\"%s\",\"broker\":\"%s\",\"broker_kind\":\"%s\"}", status,
                broker_state_text(broker), api->identity.broker_kind);
    api_respond(request, strcmp(status, "ready") == 0 ? 200 : 503);
}

void api_metrics(const struct api_request *request)
{
    const struct api *api = request->api;
    request->call->response.content_type = METRICS_CONTENT_TYPE;
    api->ops->metrics_text(api->owner, &request->call->response.body);
    api_respond(request, 200);
}
