/* options_validate_endpoints.c - contradictions within an endpoint, between two of them, and with what they name. */
#include "common/protocol/channel_name.h"
#include "common/protocol/path_pattern.h"
#include "common/protocol/reason.h"
#include "server/app/options_verdict.h"

static void validate_close_codes(struct verdict *verdict, size_t index, const struct endpoint_options *endpoint)
{
    char key[VERDICT_KEY_LEN];
    for (size_t i = 0; i < endpoint->close_codes.count; i++)
        if (!close_code_may_be_sent(endpoint->close_codes.items[i].value))
            verdict_refuse(verdict, key_in_list(key, "endpoints", index, "close_codes"),
                           "%u cannot be sent; use 3000 to 4999 or a registered code",
                           (unsigned)endpoint->close_codes.items[i].value);
}

/* Exact paths go before patterns, so only two of a kind can be in each other's way. */
static void validate_paths(struct verdict *verdict, size_t index)
{
    const struct options *o = verdict->options;
    struct str path = str_from_cstr(o->endpoints.items[index].path);
    char key[VERDICT_KEY_LEN];
    key_in_list(key, "endpoints", index, "path");
    for (size_t i = 0; i < index; i++) {
        struct str other = str_from_cstr(o->endpoints.items[i].path);
        if (str_eq(path, other))
            verdict_refuse(verdict, key, "%s is also the path of [%zu]", path.ptr, i);
        else if (path_pattern_has_names(path) && path_pattern_has_names(other) && path_patterns_overlap(path, other))
            verdict_refuse(verdict, key, "%s and %s of [%zu] fit one path; give one of them another literal segment",
                           path.ptr, other.ptr, i);
    }
    if (*o->tickets.path && path_pattern_fits(path, str_from_cstr(o->tickets.path)))
        verdict_refuse(verdict, key, "%s takes the path of tickets, %s", path.ptr, o->tickets.path);
}

/* Does the path have a segment {name}? */
static bool path_has(const char *path, struct str name)
{
    struct str rest = str_from_cstr(path);
    while (rest.ptr) {
        struct str segment = str_split(&rest, '/');
        if (segment.len == name.len + 2 && segment.ptr[0] == '{' && memcmp(segment.ptr + 1, name.ptr, name.len) == 0)
            return true;
    }
    return false;
}

static void validate_ticket_text(struct verdict *verdict, size_t index, const char *member, const char *text)
{
    const struct endpoint_options *endpoint = &verdict->options->endpoints.items[index];
    struct str rest = str_from_cstr(text);
    struct str name;
    char key[VERDICT_KEY_LEN], quoted[ERROR_QUOTE_LEN];
    key_in_list(key, "endpoints", index, member);
    while (pattern_next_claim(&rest, &name))
        if (!path_has(endpoint->path, name))
            verdict_refuse(verdict, key, "%s is no name in the path %s", error_quote(name, quoted), endpoint->path);
    if (*text && endpoint->ticket_query.count == 0)
        verdict_refuse(verdict, key, "needs ticket_query: no ticket can come to this endpoint");
}

static void validate_carriers(struct verdict *verdict, size_t index, const struct endpoint_options *endpoint)
{
    const struct options *o = verdict->options;
    char key[VERDICT_KEY_LEN];
    bool subprotocol = endpoint->token_subprotocol && endpoint->subprotocols.count > 0;
    if (!endpoint->token_header && !subprotocol && endpoint->token_query.count == 0 &&
        endpoint->ticket_query.count == 0)
        verdict_refuse(verdict, key_in_list(key, "endpoints", index, ""),
                       "no way is left to bring a token; allow header, subprotocol, query or ticket");
    for (size_t i = 0; i < endpoint->ticket_query.count; i++)
        for (size_t j = 0; j < endpoint->token_query.count; j++)
            if (strcmp(endpoint->ticket_query.items[i], endpoint->token_query.items[j]) == 0)
                verdict_refuse(verdict, key_in_list(key, "endpoints", index, "ticket_query"),
                               "%s is also in token_query; a parameter carries one or the other",
                               endpoint->ticket_query.items[i]);
    if (endpoint->ticket_query.count > 0 && !*o->tickets.path && o->api_keys.count == 0)
        verdict_refuse(verdict, key_in_list(key, "endpoints", index, "ticket_query"),
                       "nobody can get a ticket: set tickets.path for clients, or api.keys for backends");
}

/* What a carrier brings is no parameter of the application. */
static void validate_query(struct verdict *verdict, size_t index, const struct endpoint_options *endpoint)
{
    char key[VERDICT_KEY_LEN];
    const struct option_strings *carriers[] = {&endpoint->token_query, &endpoint->ticket_query};
    for (size_t i = 0; i < endpoint->query.count; i++)
        for (size_t c = 0; c < sizeof carriers / sizeof *carriers; c++)
            for (size_t j = 0; j < carriers[c]->count; j++)
                if (strcmp(endpoint->query.items[i], carriers[c]->items[j]) == 0)
                    verdict_refuse(verdict, key_in_list(key, "endpoints", index, "query"),
                                   "%s carries a token or a ticket, which no upstream gets", endpoint->query.items[i]);
}

static void validate_upstream_use(struct verdict *verdict, size_t index, const struct endpoint_options *endpoint)
{
    char key[VERDICT_KEY_LEN];
    const struct upstream_options *upstream = find_upstream(verdict->options, endpoint->upstream);
    if (*endpoint->upstream && !upstream)
        verdict_refuse(verdict, key_in_list(key, "endpoints", index, "upstream"), "upstreams has no %s",
                       endpoint->upstream);
    if (*endpoint->upstream)
        return;
    if (endpoint->text == ENDPOINT_USE_UPSTREAM)
        verdict_refuse(verdict, key_in_list(key, "endpoints", index, "text"), "needs upstream, which names one");
    if (endpoint->binary == ENDPOINT_USE_UPSTREAM)
        verdict_refuse(verdict, key_in_list(key, "endpoints", index, "binary"), "needs upstream, which names one");
    if (endpoint->text == ENDPOINT_USE_COMMANDS &&
        (*endpoint->correlation_id || *endpoint->correlation_idempotency_key || *endpoint->correlation_error))
        verdict_refuse(verdict, key_in_list(key, "endpoints", index, "correlation"),
                       "needs upstream: Carillon's own commands have ids and answers of their own");
}

void validate_endpoints(struct verdict *verdict)
{
    const struct options *o = verdict->options;
    if (o->endpoints.count == 0)
        verdict_refuse(verdict, "endpoints", "at least one entry is needed, such as {\"path\": \"/ws\"}");
    for (size_t i = 0; i < o->endpoints.count; i++) {
        const struct endpoint_options *endpoint = &o->endpoints.items[i];
        validate_paths(verdict, i);
        validate_close_codes(verdict, i, endpoint);
        validate_carriers(verdict, i, endpoint);
        validate_ticket_text(verdict, i, "ticket.purpose", endpoint->ticket_purpose);
        validate_ticket_text(verdict, i, "ticket.resource", endpoint->ticket_resource);
        validate_query(verdict, i, endpoint);
        validate_upstream_use(verdict, i, endpoint);
    }
}
