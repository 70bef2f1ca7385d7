/* explain_endpoint.c - may a client connect here? A request is made as a client would send it, and admission decides.
 */
#include <stdio.h>

#include "server/app/explain_private.h"
#include "server/app/options_verdict.h"
#include "server/core/access.h"
#include "server/net/entry/subscribe_step.h"

enum { HEAD_MAX = 256 * 1024 };

/* The admission of one made-up request, and what it stands on. */
struct trial {
    struct admitter admitter;
    struct metrics metrics;
    struct turn turn;
    struct buf bytes;
    struct http_head head;
    struct admission admission;
    struct error error;
};

static void append_member(struct explanation *answer, size_t index, const char *member)
{
    char key[160], source[512];
    snprintf(key, sizeof key, "endpoints[%zu].%s", index, member);
    buf_appendf(answer->out, " (%s: %s)", option_source_text(&options_table, answer->sources, key, source), key);
}

/* The request, with the token in the first way that the endpoint allows. Returns the member that allows it; NULL: none
 * does. */
static const char *write_request(const struct question *question, const struct net_endpoint *endpoint, struct buf *out)
{
    const char *member = NULL;
    bool has_query = memchr(question->target.ptr, '?', question->target.len) != NULL;
    buf_appendf(out, "GET %.*s", STR_ARG(question->target));
    if (endpoint->carriers & CARRIER_HEADER) {
        member = "token_header";
    } else if (endpoint->carriers & CARRIER_SUBPROTOCOL && endpoint->subprotocols.count > 0) {
        member = "token_subprotocol";
    } else if (endpoint->carriers & CARRIER_QUERY) {
        member = "token_query";
        buf_appendf(out, "%c%.*s=%.*s", has_query ? '&' : '?', STR_ARG(endpoint->query_names.items[0]),
                    STR_ARG(question->token));
    }
    buf_append_lit(out, " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n");
    if (question->origin.len > 0)
        buf_appendf(out, "Origin: %.*s\r\n", STR_ARG(question->origin));
    if (member && strcmp(member, "token_header") == 0)
        buf_appendf(out, "Authorization: Bearer %.*s\r\n", STR_ARG(question->token));
    if (member && strcmp(member, "token_subprotocol") == 0)
        buf_appendf(out, "Sec-WebSocket-Protocol: %.*s, %.*s\r\n", STR_ARG(endpoint->subprotocols.items[0]),
                    STR_ARG(question->token));
    buf_append_lit(out, "\r\n");
    return member;
}

/* The member of the endpoint that a refusal comes from; NULL: no member, but the token itself. */
static const char *deciding_member(const struct net_endpoint *endpoint, const struct claims *claims, enum reason reason)
{
    switch (reason) {
    case REASON_ORIGIN_DENIED: return "origins";
    case REASON_SCOPE_MISSING: return "require_scopes";
    case REASON_TOKEN_INVALID:
        return claims && admission_check_claims(endpoint, claims, NULL) == reason ? "require_claims" : NULL;
    default: return NULL;
    }
}

/* The scopes that are missing. The reason alone does not name them. */
static void append_missing_scopes(struct buf *out, const struct net_endpoint *endpoint, const struct claims *claims)
{
    const char *before = ": ";
    for (size_t i = 0; i < endpoint->scopes.count; i++) {
        if (claims_has_scope(claims, endpoint->scopes.items[i]))
            continue;
        buf_appendf(out, "%s%.*s", before, STR_ARG(endpoint->scopes.items[i]));
        before = ", ";
    }
}

static void append_refusal(struct explanation *answer, size_t index, const struct trial *trial,
                           const struct claims *claims)
{
    const struct admission *admission = &trial->admission;
    const struct net_endpoint *endpoint = answer->configuration->net->endpoints[index];
    if (admission->reason == REASON_NONE) {
        buf_appendf(answer->out, "  refused: HTTP %d: %s\n", admission->status, trial->error.text);
        return;
    }
    const char *member = deciding_member(endpoint, claims, admission->reason);
    buf_appendf(answer->out, "  refused: %s: %s", reason_text(admission->reason),
                trial->error.code == ERR_NONE ? reason_sentence(admission->reason) : trial->error.text);
    if (admission->reason == REASON_SCOPE_MISSING && claims)
        append_missing_scopes(answer->out, endpoint, claims);
    if (member)
        append_member(answer, index, member);
    if (admission->outcome == REFUSED_CLOSE)
        buf_appendf(answer->out, "; close code %d\n", admission->close_code);
    else
        buf_appendf(answer->out, "; HTTP %d\n", admission->status);
}

/* A backend that has a word in it, which nobody asks here. */
static void append_upstream(struct explanation *answer, size_t index)
{
    const struct endpoint_options *endpoint = &answer->options->endpoints.items[index];
    const struct upstream_options *upstream = find_upstream(answer->options, endpoint->upstream);
    if (!upstream || !upstream->connect_enabled)
        return;
    buf_appendf(answer->out, "  the upstream %s is asked too, and can refuse", upstream->name);
    append_member(answer, index, "upstream");
    buf_append_char(answer->out, '\n');
}

/* The channels that a session here begins with. All of them must be allowed. */
static bool explain_subscriptions(struct explanation *answer, const struct trial *trial, const struct claims *claims)
{
    struct entry entry = {.admission = trial->admission};
    const struct texts *templates = &trial->admission.endpoint->subscribe;
    bool good = true;
    entry.admission.claims = (struct claims *)(uintptr_t)claims; /* entry_fill only reads them */
    memset(entry.uuid, '0', UUID_LEN);
    for (size_t i = 0; i < templates->count; i++) {
        struct buf channel = {0};
        struct str missing;
        if (entry_fill(&entry, templates->items[i], &channel, &missing)) {
            buf_append_lit(answer->out, "  subscribes to ");
            good = explain_channel(answer, buf_str(&channel), claims, ALLOW_SUBSCRIBE) && good;
        } else {
            buf_appendf(answer->out, "  subscribes to %.*s: refused: the token has no claim %.*s\n",
                        STR_ARG(templates->items[i]), STR_ARG(missing));
            good = false;
        }
        buf_fini(&channel);
    }
    return good;
}

/* An endpoint that only tickets open: its user must have what it requires all the same. */
static bool explain_tickets(struct explanation *answer, size_t index, const struct claims *claims)
{
    const struct net_endpoint *endpoint = answer->configuration->net->endpoints[index];
    struct error error = {.code = ERR_NONE};
    buf_append_lit(answer->out, "  only a ticket opens it");
    append_member(answer, index, "ticket_query");
    buf_append_char(answer->out, '\n');
    enum reason reason = claims ? admission_check_claims(endpoint, claims, &error) : REASON_TOKEN_INVALID;
    if (claims && reason != REASON_NONE) {
        buf_appendf(answer->out, "  refused: %s: %s", reason_text(reason),
                    error.code == ERR_NONE ? reason_sentence(reason) : error.text);
        append_member(answer, index, deciding_member(endpoint, claims, reason));
        buf_append_char(answer->out, '\n');
    }
    return reason == REASON_NONE;
}

static bool try_request(struct explanation *answer, size_t index, const struct claims *claims, struct trial *trial)
{
    const struct net_endpoint *endpoint = answer->configuration->net->endpoints[index];
    const struct address peer = {0};
    size_t scanned = 0;
    buf_clear(&trial->bytes);
    const char *member = write_request(answer->question, endpoint, &trial->bytes);
    if (http_head_parse(buf_str(&trial->bytes), HEAD_MAX, &scanned, &trial->head, &trial->error) != HTTP_HEAD_DONE) {
        buf_appendf(answer->out, "  refused: HTTP 400: %s\n", trial->error.text);
        return false;
    }
    admission_decide(&trial->admitter, &trial->head, &peer, &trial->admission, &trial->error);
    if (!member && trial->admission.outcome != ADMITTED)
        return explain_tickets(answer, index, claims);
    if (trial->admission.outcome != ADMITTED) {
        append_refusal(answer, index, trial, claims);
        return false;
    }
    buf_append_lit(answer->out, "  admitted");
    append_member(answer, index, member ? member : "ticket_query");
    buf_append_char(answer->out, '\n');
    append_upstream(answer, index);
    return explain_subscriptions(answer, trial, claims);
}

/* The path of the question, without its query. */
static struct str path_of(struct str target)
{
    return str_split(&target, '?');
}

bool explain_endpoint(struct explanation *answer, const struct claims *claims)
{
    struct net_settings *net = answer->configuration->net;
    struct trial trial = {.turn = {.begun = true, .wall_ms = answer->question->now_ms}};
    struct str path = path_of(answer->question->target);
    const struct net_endpoint *endpoint = net_settings_find_endpoint(net, path);
    size_t index = 0;
    while (index < net->endpoint_count && net->endpoints[index] != endpoint)
        index++;
    buf_append_lit(answer->out, "endpoint ");
    append_quoted(answer->out, path);
    if (!endpoint) {
        buf_append_lit(answer->out, ": refused: no entry of endpoints has this path\n");
        return false;
    }
    buf_append_lit(answer->out, ": ");
    append_entry(answer, "endpoints", index);
    buf_appendf(answer->out, " decides, \"path\": \"%.*s\"\n", STR_ARG(endpoint->base.path));
    metrics_init(&trial.metrics, 0);
    admitter_init(&trial.admitter, net, answer->configuration->keys);
    trial.admitter.metrics = &trial.metrics;
    trial.admitter.turn = &trial.turn;
    trial.admitter.quota = quota_create();
    bool good = try_request(answer, index, claims, &trial);
    admission_drop(&trial.admission);
    quota_destroy(trial.admitter.quota);
    admitter_fini(&trial.admitter);
    buf_wipe(&trial.bytes);
    return good;
}
