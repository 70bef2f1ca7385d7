/* options_advise_endpoints.c - what is allowed in endpoints, upstreams and tickets, but may be meant otherwise. */
#include <strings.h>

#include "common/protocol/channel_name.h"
#include "server/app/options_verdict.h"

/* "/chat/:id", "/chat/<id>", "/ws/..." with a '*'. */
static void advise_path(struct verdict *verdict, size_t index, struct str path)
{
    char key[VERDICT_KEY_LEN], quoted[ERROR_QUOTE_LEN];
    bool place = memchr(path.ptr, '*', path.len) || memchr(path.ptr, '<', path.len);
    for (size_t i = 1; i < path.len; i++)
        place = place || (path.ptr[i] == ':' && path.ptr[i - 1] == '/');
    if (place)
        verdict_note(verdict, key_in_list(key, "endpoints", index, "path"),
                     "%s is literal; a segment {name} stands for other text", error_quote(path, quoted));
}

static bool has_frame(const struct endpoint_options *endpoint, const char *name)
{
    for (size_t i = 0; i < endpoint->frames.count; i++)
        if (strcmp(endpoint->frames.items[i], name) == 0)
            return true;
    return false;
}

/* A client that waits for an answer waits for ever. */
static void advise_silence(struct verdict *verdict, size_t index, const struct endpoint_options *endpoint,
                           const struct upstream_options *upstream)
{
    char key[VERDICT_KEY_LEN];
    bool tells = has_frame(endpoint, "error") || *endpoint->correlation_error;
    if (!tells && upstream->on_failure != UPSTREAM_FAILURE_CLOSE)
        verdict_note(verdict, key_in_list(key, "endpoints", index, "frames"),
                     "has no \"error\", so no client learns that its message has failed; set correlation.error, or "
                     "\"on_failure\": \"close\" of the upstream %s",
                     upstream->name);
}

/* Members that say how messages go to an upstream, where none goes. */
static void advise_upstream(struct verdict *verdict, size_t index, const struct endpoint_options *endpoint)
{
    char key[VERDICT_KEY_LEN];
    const struct upstream_options *upstream = find_upstream(verdict->options, endpoint->upstream);
    bool messages = endpoint->text == ENDPOINT_USE_UPSTREAM || endpoint->binary == ENDPOINT_USE_UPSTREAM;
    if (!upstream && endpoint->query.count > 0)
        verdict_note(verdict, key_in_list(key, "endpoints", index, "query"), "does nothing without upstream");
    if (!upstream && endpoint->headers.count > 0)
        verdict_note(verdict, key_in_list(key, "endpoints", index, "headers"), "does nothing without upstream");
    if (!upstream)
        return;
    if (!messages && !upstream->connect_enabled && !upstream->subscribe_enabled && upstream->events.count == 0)
        verdict_note(verdict, key_in_list(key, "endpoints", index, "upstream"),
                     "gets nothing from here; \"text\" or \"binary\" may be \"upstream\"");
    if (messages)
        advise_silence(verdict, index, endpoint, upstream);
    /* A preset that names the key is for upstreams with and without idempotency. */
    if (*endpoint->correlation_idempotency_key && endpoint->preset != ENDPOINT_REQUEST_RESPONSE &&
        !upstream->idempotency_enabled)
        verdict_note(verdict, key_in_list(key, "endpoints", index, "correlation.idempotency_key"),
                     "does nothing without \"idempotency\" of the upstream %s", upstream->name);
}

static void advise_unused(struct verdict *verdict, const struct upstream_options *upstream)
{
    const struct options *o = verdict->options;
    char key[VERDICT_KEY_LEN];
    bool used = false;
    bool keyed = false;
    for (size_t i = 0; i < o->endpoints.count; i++) {
        bool here = strcmp(o->endpoints.items[i].upstream, upstream->name) == 0;
        used = used || here;
        keyed = keyed || (here && *o->endpoints.items[i].correlation_idempotency_key);
    }
    if (!used)
        verdict_note(verdict, key_in_map(key, "upstreams", upstream->name, ""), "no endpoint names it");
    else if (upstream->idempotency_enabled && !keyed)
        verdict_note(verdict, key_in_map(key, "upstreams", upstream->name, "idempotency"),
                     "does nothing without correlation.idempotency_key of an endpoint");
    if (*upstream->hub && upstream->dialect != UPSTREAM_AZURE)
        verdict_note(verdict, key_in_map(key, "upstreams", upstream->name, "hub"),
                     "does nothing without \"dialect\": \"azure\"");
    if (*upstream->tls_ca && strncasecmp(upstream->url, "https:", 6) != 0 && strncasecmp(upstream->url, "wss:", 4) != 0)
        verdict_note(verdict, key_in_map(key, "upstreams", upstream->name, "tls_ca"),
                     "does nothing without an https:// or wss:// url");
}

void advise_endpoints(struct verdict *verdict)
{
    const struct options *o = verdict->options;
    for (size_t i = 0; i < o->endpoints.count; i++) {
        advise_path(verdict, i, str_from_cstr(o->endpoints.items[i].path));
        advise_upstream(verdict, i, &o->endpoints.items[i]);
    }
    for (size_t i = 0; i < o->upstreams.count; i++)
        advise_unused(verdict, &o->upstreams.items[i]);
    if (o->tickets.origins.count > 0 && !*o->tickets.path)
        verdict_note(verdict, "tickets.origins", "does nothing without tickets.path");
}
