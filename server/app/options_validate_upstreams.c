/* options_validate_upstreams.c - contradictions within upstreams, tickets and lifecycle events. */
#include <strings.h>

#include "server/app/options_check.h"
#include "server/app/options_verdict.h"

enum { SECRETS_AT_ONCE = 2 };

/* Keys of Redis that are Carillon's own (docs/operations/redis.md, "Keys"). */
static bool is_own_key(const struct options *options, const char *key)
{
    static const char *const names[] = {"nodes", "revoked", "ingest", "ingest:dead"};
    size_t prefix = strlen(options->redis_prefix);
    if (strncmp(key, options->redis_prefix, prefix) != 0 || key[prefix] != ':')
        return false;
    const char *name = key + prefix + 1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return *name == '{';
}

static void validate_stream(struct verdict *verdict, const char *key, const char *stream)
{
    if (!*verdict->options->redis_url)
        verdict_refuse(verdict, key, "needs redis.url: the stream is in that Redis");
    if (is_own_key(verdict->options, stream))
        verdict_refuse(verdict, key, "%s is a key that Carillon itself uses", stream);
}

static void validate_secrets(struct verdict *verdict, const char *key, const struct option_strings *secrets)
{
    if (secrets->count > SECRETS_AT_ONCE)
        verdict_refuse(verdict, key, "%zu secrets; give one, or two while one replaces the other", secrets->count);
}

/* Members that only calls by HTTP have. */
static void validate_http_only(struct verdict *verdict, const struct upstream_options *upstream)
{
    const struct {
        const char *member;
        bool given;
    } members[] = {
        {"dialect", upstream->dialect == UPSTREAM_AZURE}, {"connect", upstream->connect_enabled},
        {"subscribe", upstream->subscribe_enabled},       {"idempotency", upstream->idempotency_enabled},
        {"events", upstream->events.count > 0},           {"order", upstream->order != UPSTREAM_ORDER_NONE},
        {"join.max_bytes", upstream->join_max_bytes > 0},
    };
    char key[VERDICT_KEY_LEN];
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (members[i].given)
            verdict_refuse(verdict, key_in_map(key, "upstreams", upstream->name, members[i].member),
                           "is for an http:// or https:// url only%s",
                           strcmp(members[i].member, "order") == 0 ? "; others are always in order" : "");
}

/* Has the command itself given the upstreams? Only `carillon dev` does. */
static bool given_by_command(const struct verdict *verdict)
{
    for (size_t i = 0; i < options_table.count; i++)
        if (strcmp(options_table.rows[i].key, "upstreams") == 0)
            return verdict->sources->of[i].origin == OPTION_FROM_PRESET;
    return false;
}

static void validate_upstream(struct verdict *verdict, const struct upstream_options *upstream)
{
    char key[VERDICT_KEY_LEN];
    if (str_starts_with(str_from_cstr(upstream->url), STR(UPSTREAM_DEV_SCHEME))) {
        if (!given_by_command(verdict))
            verdict_refuse(verdict, key_in_map(key, "upstreams", upstream->name, "url"),
                           "only carillon dev --preset has " UPSTREAM_DEV_SCHEME "; give the address of a backend");
        return;
    }
    if (!*upstream->url == !*upstream->redis_stream)
        verdict_refuse(verdict, key_in_map(key, "upstreams", upstream->name, ""), "give either url or redis_stream");
    else if (*upstream->redis_stream)
        validate_stream(verdict, key_in_map(key, "upstreams", upstream->name, "redis_stream"), upstream->redis_stream);
    if (!upstream_is_http(upstream) && (*upstream->url || *upstream->redis_stream))
        validate_http_only(verdict, upstream);
    else if (upstream->join_max_bytes > 0 && upstream->order != UPSTREAM_ORDER_SESSION)
        verdict_refuse(verdict, key_in_map(key, "upstreams", upstream->name, "join.max_bytes"),
                       "needs \"order\": \"session\": messages that are sent at once are never joined");
    if (upstream->join_max_bytes > upstream->waiting_bytes)
        verdict_refuse(verdict, key_in_map(key, "upstreams", upstream->name, "join.max_bytes"),
                       "must not be more than waiting_bytes");
    if (upstream->total_timeout_ms < upstream->timeout_ms)
        verdict_refuse(verdict, key_in_map(key, "upstreams", upstream->name, "timeout"),
                       "must not be more than total_timeout");
    validate_secrets(verdict, key_in_map(key, "upstreams", upstream->name, "secret"), &upstream->secret);
}

void validate_upstreams(struct verdict *verdict)
{
    const struct options *o = verdict->options;
    for (size_t i = 0; i < o->upstreams.count; i++)
        validate_upstream(verdict, &o->upstreams.items[i]);
}

void validate_tickets(struct verdict *verdict)
{
    const struct tickets_options *tickets = &verdict->options->tickets;
    if (!*tickets->answer)
        verdict_refuse(verdict, "tickets.answer", "is needed: without it no client would see its ticket");
    else if (!strstr(tickets->answer, "{ticket}"))
        verdict_refuse(verdict, "tickets.answer", "has no {ticket} in it, so no client would see its ticket");
    if (!*tickets->error)
        verdict_refuse(verdict, "tickets.error", "is needed: it is the body of a refusal");
    if (!*tickets->request_purpose && *tickets->path)
        verdict_refuse(verdict, "tickets.request.purpose", "is needed: it says what a ticket is for");
}

void validate_lifecycle(struct verdict *verdict)
{
    const struct options *o = verdict->options;
    const struct lifecycle_options *lifecycle = &o->lifecycle;
    bool receiver = *lifecycle->redis_stream || *lifecycle->http_url;
    if (lifecycle->types.count > 0 && !receiver)
        verdict_refuse(verdict, "lifecycle.types",
                       "needs lifecycle.redis_stream or lifecycle.http.url: the events go nowhere");
    if (lifecycle->types.count == 0 && receiver)
        verdict_refuse(verdict, *lifecycle->redis_stream ? "lifecycle.redis_stream" : "lifecycle.http.url",
                       "needs lifecycle.types: no event is told");
    validate_secrets(verdict, "lifecycle.http.secret", &lifecycle->http_secret);
    if (!*lifecycle->redis_stream)
        return;
    validate_stream(verdict, "lifecycle.redis_stream", lifecycle->redis_stream);
    for (size_t i = 0; i < o->upstreams.count; i++)
        if (strcmp(o->upstreams.items[i].redis_stream, lifecycle->redis_stream) == 0)
            verdict_refuse(verdict, "lifecycle.redis_stream", "%s is also the stream of the upstream %s",
                           lifecycle->redis_stream, o->upstreams.items[i].name);
}
