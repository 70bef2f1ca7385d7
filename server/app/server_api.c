/* server_api.c - what the HTTP API is answered from: the router, the survey, the metrics of all threads. Runs in the
 * workers' threads and touches only what any thread may. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "server/app/build.h"
#include "server/app/process_metrics.h"
#include "server/app/server_private.h"
#include "server/app/version.h"

static void ask(void *owner, struct request *request)
{
    struct node *node = &((struct server *)owner)->node;
    if (request->kind == REQUEST_SURVEY)
        survey_ask(node->surveys, survey_of(request));
    else
        router_ask(&node->router, request);
}

static size_t revocation_count(void *owner)
{
    return revocations_count(((struct server *)owner)->node.revocations);
}

static enum broker_state broker_state(void *owner)
{
    return (enum broker_state)atomic_load(&((struct server *)owner)->node.router.broker_state);
}

static bool is_draining(void *owner)
{
    return atomic_load(&((struct server *)owner)->draining);
}

static void write_metrics(void *owner, struct buf *out)
{
    const struct server *server = owner;
    const struct metrics *all[ROUTER_WORKERS_MAX + 3];
    size_t count = 0;
    struct metrics *process = xmalloc(sizeof *process);
    metrics_init(process, -1);
    process_metrics_read(process, server->started_ms);
    all[count++] = process;
    all[count++] = &server->node.metrics;
    all[count++] = &server->outbound_metrics;
    for (unsigned i = 0; i < server->worker_count; i++)
        all[count++] = &server->worker_metrics[i];
    metrics_write(out, all, count, CARILLON_VERSION);
    free(process);
}

static uint64_t now_us(void *owner)
{
    (void)owner;
    return clock_now_us();
}

static uint64_t wall_ms(void *owner)
{
    (void)owner;
    return clock_wall_ms();
}

static const struct api_ops ops = {
    .ask = ask,
    .revocation_count = revocation_count,
    .broker_state = broker_state,
    .draining = is_draining,
    .metrics_text = write_metrics,
    .now_us = now_us,
    .wall_ms = wall_ms,
};

/* The handler that has a path for the call besides the API; NULL: none. */
static const struct http_handler *find_more(const struct server *server, const struct http_call *call)
{
    bool found = server->more && server->more->has(server->more_owner, call->request.path);
    return found ? server->more : NULL;
}

static bool is_of_inspector(const struct server *server, const struct http_call *call)
{
    return server->inspector && inspector_has(call->request.path);
}

/* False: the hooks have answered the call. */
static bool may_come(const struct server *server, struct http_call *call)
{
    const struct server_hooks *hooks = server->hooks;
    return !hooks || call->request.admitted || hooks->admit(hooks->owner, call);
}

static bool admit(void *owner, struct http_call *call)
{
    struct api_front *front = owner;
    if (!may_come(front->server, call))
        return false;
    const struct http_handler *more = find_more(front->server, call);
    if (more)
        return more->admit(front->server->more_owner, call);
    return is_of_inspector(front->server, call) ? inspector_admit(call) : api_admit(front->api, call);
}

static void serve(void *owner, struct http_call *call)
{
    struct api_front *front = owner;
    if (!may_come(front->server, call))
        return;
    const struct http_handler *more = find_more(front->server, call);
    if (more)
        more->serve(front->server->more_owner, call);
    else if (is_of_inspector(front->server, call))
        inspector_serve(front->server->inspector, front->api, call, clock_now_us());
    else
        api_handle(front->api, call);
}

static const struct http_handler handler = {.admit = admit, .serve = serve};

static const struct http_handler public_handler = {.has = ticket_desk_has,
                                                   .max_body = TICKET_BODY_MAX,
                                                   .admit = ticket_desk_admit,
                                                   .serve = ticket_desk_serve,
                                                   .refuse = ticket_desk_refuse};

/* The texts are borrowed from the options. The caller frees *out_keys. */
static struct api_config make_config(const struct server *server, struct str **out_keys)
{
    const struct options *o = server->options;
    struct str *keys = xcalloc(o->api_keys.count, sizeof *keys);
    for (size_t i = 0; i < o->api_keys.count; i++)
        keys[i] = str_from_cstr(o->api_keys.items[i]);
    *out_keys = keys;
    return (struct api_config){
        .keys = keys,
        .key_count = o->api_keys.count,
        .event_bytes = o->limits_event_bytes,
        .max_batch = o->api_max_batch,
        .rules = server->configuration.rules,
        .custom_events = o->events_custom,
        .revocation_ttl_ms = o->revocation_ttl_ms,
        .revocations_max = o->revocation_max,
        .ticket_ttl_ms = o->tickets.ttl_ms,
        .tickets_resume = o->tickets.use == TICKETS_RESUME,
        .tickets_max = o->tickets.max,
        .ticket_claims_bytes = o->token_max_bytes,
    };
}

void server_forget_ticket_rates(struct server *server)
{
    ticket_rates_clear(server->ticket_rates);
}

void server_create_apis(struct server *server)
{
    server->ticket_rates = ticket_rates_create();
    if (server->options->console_enabled)
        server->inspector = inspector_create();
    build_describe(&server->build);
    struct str *keys;
    const struct api_config config = make_config(server, &keys);
    const struct api_identity identity = {
        .node_id = str_from_cstr(server->node.id),
        .build = buf_str(&server->build),
        .broker_kind = *server->options->redis_url ? "redis" : "memory",
    };
    for (unsigned i = 0; i < server->worker_count; i++) {
        struct worker *worker = server->workers[i];
        server->apis[i] = api_create(&config, &ops, server, &identity, &server->worker_metrics[i], &worker->mailbox);
        server->fronts[i] = (struct api_front){.api = server->apis[i], .server = server};
        worker_serve_with(worker, &handler, &server->fronts[i]);
        const struct ticket_desk_options desk = {.admitter = &worker->admitter,
                                                 .rates = server->ticket_rates,
                                                 .metrics = &server->worker_metrics[i],
                                                 .replies = &worker->mailbox,
                                                 .ask = ask,
                                                 .owner = server};
        server->desks[i] = ticket_desk_create(&desk);
        worker_serve_public_with(worker, &public_handler, server->desks[i]);
    }
    free(keys);
}

/* On its way to one worker. One allocation with the texts of its keys. */
struct api_change {
    struct mail mail;
    struct api *api;
    struct inspector *inspector; /* whose logins end with the keys that were; NULL: there is none */
    struct api_config config;
    struct str keys[];
};

static void deliver_change(struct mail *mail, void *owner)
{
    struct api_change *change = CONTAINER_OF(mail, struct api_change, mail);
    (void)owner;
    api_configure(change->api, &change->config);
    if (change->inspector)
        inspector_forget(change->inspector);
    rules_unref(change->config.rules);
    free(change);
}

static struct api_change *make_change(struct api *api, struct inspector *inspector, const struct api_config *config)
{
    size_t len = 0;
    for (size_t i = 0; i < config->key_count; i++)
        len += config->keys[i].len;
    struct api_change *change = xmalloc(sizeof *change + config->key_count * sizeof *change->keys + len);
    char *at = (char *)&change->keys[config->key_count];
    for (size_t i = 0; i < config->key_count; i++) {
        memcpy(at, config->keys[i].ptr, config->keys[i].len);
        change->keys[i] = str_from(at, config->keys[i].len);
        at += config->keys[i].len;
    }
    change->mail = (struct mail){.deliver = deliver_change};
    change->api = api;
    change->inspector = inspector;
    change->config = *config;
    change->config.keys = change->keys;
    rules_ref(change->config.rules);
    return change;
}

void server_configure_apis(struct server *server)
{
    struct str *keys;
    const struct api_config config = make_config(server, &keys);
    for (unsigned i = 0; i < server->worker_count; i++)
        mailbox_post(&server->workers[i]->mailbox, &make_change(server->apis[i], server->inspector, &config)->mail);
    free(keys);
}
