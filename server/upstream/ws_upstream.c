/* ws_upstream.c - see ws_upstream.h. */
#include "common/base/alloc.h"
#include "server/core/hub.h"
#include "server/core/session.h"
#include "server/core/session_origin.h"
#include "server/upstream/webhook.h"
#include "server/upstream/ws_connect.h"
#include "server/upstream/ws_relay.h"
#include "server/upstream/ws_session.h"

enum { CODE_GOING_AWAY = 1001 };

static struct upstream_session *opened(struct upstream *upstream, struct hub *hub, struct session *session,
                                       struct session_origin *origin)
{
    struct ws_session *state = xcalloc(1, sizeof *state);
    upstream_session_begin(&state->base, upstream, session);
    state->hub = hub;
    state->turn = hub_replies(hub)->turn;
    memcpy(state->uuid, session->uuid, sizeof state->uuid);
    list_init(&state->waiting);
    if (origin)
        state->origin = session_origin_ref(origin);
    ws_connect_start(state);
    return &state->base;
}

static enum err take(struct upstream_session *base, const struct session_message *message, struct error *error)
{
    struct ws_session *state = ws_session_of(base);
    (void)error;
    metrics_add(hub_metrics(state->hub), METRIC_UPSTREAM_MESSAGES, 1);
    if (state->state == WS_OPEN)
        ws_relay_send(state, message->binary, message->bytes);
    else
        ws_session_wait(state, message);
    if (state->state == WS_IDLE)
        ws_connect_start(state);
    ws_session_settle(state);
    return ERR_NONE;
}

static void ended(struct upstream_session *base, int code, struct str reason)
{
    struct ws_session *state = ws_session_of(base);
    state->close_code = code == CLOSE_LOST ? CODE_GOING_AWAY : code;
    buf_append(&state->close_reason, reason);
    switch (state->state) {
    case WS_IDLE:
    case WS_DENIED:
        ws_connect_drop_waiting(state);
        ws_session_free(state);
        break;
    case WS_CONNECTING:
    case WS_UPGRADING:
        if (state->waiting_count)
            ws_connect_hurry(state);
        else
            ws_connect_cancel(state);
        break;
    case WS_OPEN: ws_relay_end(state); break;
    case WS_CLOSING: break;
    case WS_ENDED: ws_connect_drop_waiting(state); break;
    }
}

static void destroy(struct upstream *base)
{
    struct ws_upstream *upstream = CONTAINER_OF(base, struct ws_upstream, base);
    ws_target_unref(upstream->options.target);
    webhook_secrets_unref(upstream->options.secrets);
    free(upstream->claims);
    free(upstream);
}

static const struct upstream_ops ops = {.opened = opened, .take = take, .ended = ended, .destroy = destroy};

struct upstream *ws_upstream_create(const struct ws_upstream_options *options)
{
    size_t len = options->name.len;
    for (size_t i = 0; i < options->claim_count; i++)
        len += options->claims[i].len;
    struct ws_upstream *upstream = xcalloc(1, sizeof *upstream + len);
    char *at = upstream->bytes;
    upstream->options = *options;
    upstream->options.name = str_pack(&at, options->name);
    upstream->claims = xcalloc(options->claim_count, sizeof *upstream->claims);
    for (size_t i = 0; i < options->claim_count; i++)
        upstream->claims[i] = str_pack(&at, options->claims[i]);
    upstream->options.claims = upstream->claims;
    upstream->label = metrics_upstream(options->name);
    upstream_init(&upstream->base, &ops, upstream->options.name);
    return &upstream->base;
}
