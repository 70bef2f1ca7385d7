/* admission.c - see admission.h. */
#include "server/net/admission/admission.h"

#include "common/base/log.h"
#include "common/json/json.h"
#include "common/protocol/channel_name.h"
#include "server/net/admission/credential.h"
#include "server/net/admission/net_transport.h"
#include "server/net/admission/origin.h"

enum { TOKENS_LOOKED_AT = 16 }; /* each time */

/* --- the admitter ----------------------------------------------------------------------------------------------- */

void admitter_init(struct admitter *admitter, struct net_settings *settings, struct token_keys *keys)
{
    *admitter = (struct admitter){
        .settings = net_settings_ref(settings),
        .keys = token_keys_ref(keys),
        .tokens = token_cache_create(settings->token_cache_entries, settings->token_cache_bytes),
    };
}

void admitter_fini(struct admitter *admitter)
{
    token_cache_destroy(admitter->tokens);
    token_keys_unref(admitter->keys);
    net_settings_unref(admitter->settings);
}

void admitter_configure(struct admitter *admitter, struct net_settings *settings)
{
    net_settings_ref(settings);
    net_settings_unref(admitter->settings);
    admitter->settings = settings;
}

void admitter_set_keys(struct admitter *admitter, struct token_keys *keys)
{
    token_keys_ref(keys);
    token_keys_unref(admitter->keys);
    admitter->keys = keys;
}

static enum metrics_verification verification_label(enum reason reason, bool cached)
{
    switch (reason) {
    case REASON_NONE: return cached ? METRICS_VERIFICATION_CACHED : METRICS_VERIFICATION_OK;
    case REASON_TOKEN_EXPIRED: return METRICS_VERIFICATION_EXPIRED;
    case REASON_TOKEN_REVOKED: return METRICS_VERIFICATION_REVOKED;
    case REASON_TOKEN_NOT_YET_VALID: return METRICS_VERIFICATION_NOT_YET_VALID;
    default: return METRICS_VERIFICATION_INVALID;
    }
}

bool admitter_has_revoked(const struct admitter *admitter, const struct claims *claims)
{
    return admitter->revocations && revocations_cover(admitter->revocations, claims, turn_wall_ms(admitter->turn));
}

enum reason admitter_verify(struct admitter *admitter, struct str token, struct claims **out_claims)
{
    struct error *error = &admitter->token_error;
    const struct net_settings *settings = admitter->settings;
    uint64_t now_ms = turn_wall_ms(admitter->turn), hits = token_cache_hits(admitter->tokens);
    enum reason reason =
        token_cache_verify(admitter->tokens, admitter->keys, &settings->policy, token, now_ms, out_claims, error);
    if (reason == REASON_NONE && admitter_has_revoked(admitter, *out_claims)) {
        claims_unref(*out_claims);
        *out_claims = NULL;
        reason = REASON_TOKEN_REVOKED;
        error_set(error, ERR_UNAUTHORIZED, "%s", reason_sentence(reason));
    }
    metrics_add_labelled(admitter->metrics, METRIC_TOKEN_VERIFICATIONS,
                         verification_label(reason, token_cache_hits(admitter->tokens) > hits), 1);
    metrics_set(admitter->metrics, METRIC_TOKEN_CACHE_ENTRIES, token_cache_count(admitter->tokens));
    if (reason != REASON_NONE)
        log_debug("net", "token refused: %s", error->text);
    return reason;
}

void admitter_forget_expired(struct admitter *admitter)
{
    if (token_cache_count(admitter->tokens) == 0)
        return;
    token_cache_expire(admitter->tokens, &admitter->settings->policy, turn_wall_ms(admitter->turn), TOKENS_LOOKED_AT);
    metrics_set(admitter->metrics, METRIC_TOKEN_CACHE_ENTRIES, token_cache_count(admitter->tokens));
}

/* --- admission -------------------------------------------------------------------------------------------------- */

/* A refusal that is about the request's form: always HTTP, since whoever sent it does not speak as a client should. */
static void refuse_form(struct admission *out, int status, struct error *error, enum err code, const char *text)
{
    out->outcome = REFUSED_HTTP;
    out->status = status;
    error_set(error, code, "%s", text);
}

void admission_drop(struct admission *admission)
{
    claims_unref(admission->claims);
    admission->claims = NULL;
    session_origin_unref(admission->origin);
    admission->origin = NULL;
    if (admission->ticket.ptr) {
        char *text = (char *)(uintptr_t)admission->ticket.ptr; /* ours, although a str never owns */
        explicit_bzero(text, admission->ticket.len);
        free(text);
    }
    admission->ticket = (struct str){NULL, 0};
}

void admission_refuse(struct admitter *admitter, struct admission *admission, enum reason reason)
{
    admission_drop(admission);
    admission->outcome = admission->by_close ? REFUSED_CLOSE : REFUSED_HTTP;
    admission->reason = reason;
    admission->status = err_http_status(reason_err(reason));
    admission->close_code = admission->endpoint->base.close_codes.code[reason];
    if (admission->status == 429 || admission->status == 503)
        admission->retry_after_s = admitter->settings->retry_after_s;
}

void admission_refuse_path(struct admission *admission, struct error *error)
{
    admission_drop(admission);
    refuse_form(admission, 404, error, ERR_NOT_FOUND, "there is nothing at this path");
}

static bool check_form(const struct http_head *head, struct admission *out, struct error *error)
{
    out->status = out->endpoint->transport->check(head, error);
    if (out->status)
        out->outcome = REFUSED_HTTP;
    return !out->status;
}

bool admission_allows_origin(const struct texts *origins, struct str origin)
{
    if (origins->count == 0 || origin.len == 0)
        return true; /* no browser: an Origin header protects users of browsers only */
    for (size_t i = 0; i < origins->count; i++)
        if (pattern_matches(origins->items[i], origin, NULL, NULL) || str_eq_nocase(origins->items[i], origin))
            return true;
    return false;
}

static bool has_claim(const struct claims *claims, struct str name)
{
    enum json_type type = json_member(claims->payload, name).type;
    return type && type != JSON_NULL;
}

enum reason admission_check_claims(const struct net_endpoint *endpoint, const struct claims *claims,
                                   struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    for (size_t i = 0; i < endpoint->claims.count; i++)
        if (!has_claim(claims, endpoint->claims.items[i])) {
            error_set(error, ERR_UNAUTHORIZED, "the token has no claim %s, which this endpoint requires",
                      error_quote(endpoint->claims.items[i], quoted));
            return REASON_TOKEN_INVALID;
        }
    for (size_t i = 0; i < endpoint->scopes.count; i++)
        if (!claims_has_scope(claims, endpoint->scopes.items[i]))
            return REASON_SCOPE_MISSING;
    return REASON_NONE;
}

enum reason admission_verify(struct admitter *admitter, const struct net_endpoint *endpoint, struct str token,
                             struct claims **out_claims, struct error *error)
{
    struct claims *claims = NULL;
    enum reason reason = admitter_verify(admitter, token, &claims);
    if (reason == REASON_NONE)
        reason = admission_check_claims(endpoint, claims, error);
    if (reason == REASON_NONE)
        *out_claims = claims;
    else
        claims_unref(claims);
    return reason;
}

/* A part of the request that the client writes is bad. *error says how. */
static void refuse_bad_request(struct admission *out)
{
    out->outcome = REFUSED_HTTP;
    out->status = 400;
}

static void check_credentials(struct admitter *admitter, const struct http_head *head, struct admission *out,
                              struct error *error)
{
    struct credential_set credentials;
    enum reason reason = REASON_NONE;
    if (credential_find(out->endpoint, head, &credentials, error))
        refuse_bad_request(out);
    else if (credentials.ticket.value.ptr)
        out->ticket = str_from(str_dup(credentials.ticket.value), credentials.ticket.value.len);
    else if (credentials.token.value.ptr)
        reason = admission_verify(admitter, out->endpoint, credentials.token.value, &out->claims, error);
    else
        reason = out->endpoint->ticket_names.count && !out->endpoint->carriers ? REASON_TICKET_MISSING
                                                                               : REASON_TOKEN_MISSING;
    credential_set_fini(&credentials);
    if (reason != REASON_NONE)
        admission_refuse(admitter, out, reason);
}

void admission_explain_limit(enum quota_kind kind, size_t max, struct error *error)
{
    static const struct {
        const char *who, *option, *advice;
    } limits[] = {
        [QUOTA_SESSIONS] = {"this node", "limits.connections", "try again later, or another node"},
        [QUOTA_OF_ADDRESS] = {"your address", "limits.connections_per_address", "close one first"},
        [QUOTA_OF_ENDPOINT] = {"this endpoint", "max_connections of the endpoint", "try again later"},
        [QUOTA_OF_USER] = {"this user", "limits.connections_per_user", "close one first"},
    };
    error_set(error, reason_err(REASON_CONNECTION_LIMIT),
              "%s has as many connections here as are allowed (%s: %zu); %s", limits[kind].who, limits[kind].option,
              max, limits[kind].advice);
}

static bool is_full(const struct admitter *admitter)
{
    size_t max = admitter->settings->max_connections;
    return max && quota_count(admitter->quota, QUOTA_SESSIONS, STR("")) >= max;
}

static void refuse_full(struct admitter *admitter, struct admission *out, struct error *error)
{
    admission_explain_limit(QUOTA_SESSIONS, admitter->settings->max_connections, error);
    admission_refuse(admitter, out, REASON_CONNECTION_LIMIT);
}

/* A program sees the status. A browser (an Origin header) hides it from its page. */
static bool wants_frames(const struct net_endpoint *endpoint, struct str origin)
{
    return endpoint->transport->refuse &&
           (endpoint->reject == REJECT_CLOSE || (endpoint->reject == REJECT_AUTO && origin.ptr));
}

/* Of a request whose endpoint is known and whose form is good. */
static void decide(struct admitter *admitter, const struct http_head *head, const struct address *peer,
                   struct admission *out, struct error *error)
{
    const struct net_settings *settings = admitter->settings;
    struct str origin = {NULL, 0};
    http_head_find(head, STR("origin"), &origin);
    out->by_close = wants_frames(out->endpoint, origin);
    if (admitter->unavailable != REASON_NONE)
        admission_refuse(admitter, out, admitter->unavailable);
    else if (is_full(admitter)) /* before the work of a verification */
        refuse_full(admitter, out, error);
    else if (!admission_allows_origin(&out->endpoint->origins, origin))
        admission_refuse(admitter, out, REASON_ORIGIN_DENIED);
    else
        check_credentials(admitter, head, out, error);
    if (out->outcome != ADMITTED)
        return;
    out->client = address_of_client(peer, &head->fields, settings->trusted_proxies, settings->trusted_proxy_count);
    if (origin_make(out->endpoint, head, &out->client, &out->origin, error)) {
        admission_drop(out);
        refuse_bad_request(out);
    }
}

void admission_decide(struct admitter *admitter, const struct http_head *head, const struct address *peer,
                      struct admission *out, struct error *error)
{
    *out = (struct admission){.outcome = ADMITTED};
    error->code = ERR_NONE;
    out->endpoint = net_settings_find_endpoint(admitter->settings, head->path);
    if (!out->endpoint)
        admission_refuse_path(out, error);
    else if (check_form(head, out, error))
        decide(admitter, head, peer, out, error);
}
