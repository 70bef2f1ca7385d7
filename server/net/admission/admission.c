/* admission.c - see admission.h. */
#include "server/net/admission/admission.h"

#include "common/base/log.h"
#include "common/protocol/channel_name.h"
#include "server/net/admission/net_transport.h"

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
    struct error error;
    const struct net_settings *settings = admitter->settings;
    uint64_t now_ms = turn_wall_ms(admitter->turn), hits = token_cache_hits(admitter->tokens);
    enum reason reason =
        token_cache_verify(admitter->tokens, admitter->keys, &settings->policy, token, now_ms, out_claims, &error);
    if (reason == REASON_NONE && admitter_has_revoked(admitter, *out_claims)) {
        claims_unref(*out_claims);
        *out_claims = NULL;
        reason = REASON_TOKEN_REVOKED;
        error_set(&error, ERR_UNAUTHORIZED, "%s", reason_sentence(reason));
    }
    metrics_add_labelled(admitter->metrics, METRIC_TOKEN_VERIFICATIONS,
                         verification_label(reason, token_cache_hits(admitter->tokens) > hits), 1);
    metrics_set(admitter->metrics, METRIC_TOKEN_CACHE_ENTRIES, token_cache_count(admitter->tokens));
    if (reason != REASON_NONE)
        log_debug("net", "token refused: %s", error.text);
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

void admission_refuse(struct admitter *admitter, struct admission *admission, enum reason reason)
{
    claims_unref(admission->claims);
    admission->claims = NULL;
    admission->outcome = admission->by_close ? REFUSED_CLOSE : REFUSED_HTTP;
    admission->reason = reason;
    admission->status = err_http_status(reason_err(reason));
    admission->close_code = admission->endpoint->base.close_codes.code[reason];
    if (admission->status == 429 || admission->status == 503)
        admission->retry_after_s = admitter->settings->retry_after_s;
}

void admission_refuse_path(struct admission *admission, struct error *error)
{
    claims_unref(admission->claims);
    admission->claims = NULL;
    refuse_form(admission, 404, error, ERR_NOT_FOUND, "there is nothing at this path");
}

static bool check_form(const struct http_head *head, struct admission *out, struct error *error)
{
    out->status = out->endpoint->transport->check(head, error);
    if (out->status)
        out->outcome = REFUSED_HTTP;
    return !out->status;
}

/* Origins are lower case as browsers send them; '*' in the list stands for any run of characters. */
static bool origin_is_allowed(const struct net_endpoint *endpoint, struct str origin)
{
    if (endpoint->origins.count == 0 || !origin.ptr)
        return true; /* no browser: an Origin header protects users of browsers only */
    for (size_t i = 0; i < endpoint->origins.count; i++)
        if (pattern_matches(endpoint->origins.items[i], origin, NULL, NULL) ||
            str_eq_nocase(endpoint->origins.items[i], origin))
            return true;
    return false;
}

struct token_search {
    struct str token; /* ptr NULL: none yet */
    bool conflict;
};

static void found_token(struct token_search *search, struct str token)
{
    if (token.len == 0)
        return;
    if (!search->token.ptr)
        search->token = token;
    else if (!str_eq(search->token, token))
        search->conflict = true;
}

static void search_header(const struct http_head *head, struct token_search *search)
{
    struct str value;
    if (!http_head_find(head, STR("authorization"), &value))
        return;
    struct str rest = value;
    struct str scheme = str_split(&rest, ' ');
    if (rest.ptr && str_eq_nocase(scheme, STR("bearer")))
        found_token(search, str_trim(rest));
}

/* Where carillon.v1 is offered, whatever else is offered is a token, except names of ours (of later versions). */
static void search_protocols(const struct http_head *head, bool offered, struct token_search *search)
{
    struct http_list at = {0};
    struct str item;
    while (offered && http_fields_next(&head->fields, STR("sec-websocket-protocol"), &at, &item))
        if (!str_starts_with(item, STR("carillon.")))
            found_token(search, item);
}

/* The first token found lies in *scratch, if it was found here. */
static enum err search_query(const struct http_head *head, const struct net_endpoint *endpoint, struct buf *scratch,
                             struct token_search *search, struct error *error)
{
    if (head->query.len == 0)
        return ERR_NONE;
    for (size_t i = 0; i < endpoint->query_names.count; i++) {
        struct buf value = {0};
        struct str token;
        enum err err = http_query_get(head->query, endpoint->query_names.items[i], &value, &token, error);
        if (err == ERR_NONE && token.ptr) {
            bool first = !search->token.ptr;
            found_token(search, token);
            if (first && search->token.ptr) { /* it must outlive this round */
                struct buf kept = *scratch;
                *scratch = value;
                value = kept;
            }
        }
        buf_fini(&value);
        if (err)
            return err;
    }
    return ERR_NONE;
}

enum reason admission_verify(struct admitter *admitter, const struct net_endpoint *endpoint, struct str token,
                             struct claims **out_claims)
{
    struct claims *claims = NULL;
    enum reason reason = admitter_verify(admitter, token, &claims);
    if (reason != REASON_NONE)
        return reason;
    for (size_t i = 0; i < endpoint->scopes.count; i++)
        if (!claims_has_scope(claims, endpoint->scopes.items[i])) {
            claims_unref(claims);
            return REASON_SCOPE_MISSING;
        }
    *out_claims = claims;
    return REASON_NONE;
}

static void check_token(struct admitter *admitter, const struct http_head *head, struct admission *out,
                        struct error *error)
{
    const struct net_endpoint *endpoint = out->endpoint;
    struct token_search search = {{NULL, 0}, false};
    struct buf scratch = {0};
    if (endpoint->carriers & CARRIER_HEADER)
        search_header(head, &search);
    if (endpoint->carriers & CARRIER_SUBPROTOCOL)
        search_protocols(head, out->protocol_offered, &search);
    if (endpoint->carriers & CARRIER_QUERY && search_query(head, endpoint, &scratch, &search, error)) {
        out->outcome = REFUSED_HTTP;
        out->status = 400;
    } else if (search.conflict) {
        refuse_form(out, 400, error, ERR_INVALID_REQUEST, "the request carries two different tokens: send one");
    } else {
        enum reason reason = REASON_TOKEN_MISSING;
        if (search.token.ptr)
            reason = admission_verify(admitter, endpoint, search.token, &out->claims);
        if (reason != REASON_NONE)
            admission_refuse(admitter, out, reason);
    }
    buf_fini(&scratch);
}

/* A JSON Web Token begins with {" in base64url, and has three parts. */
static bool looks_like_token(struct str name)
{
    size_t dots = 0;
    for (size_t i = 0; i < name.len; i++)
        dots += name.ptr[i] == '.';
    return dots == 2 && str_starts_with(name, STR("eyJ"));
}

static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!http_is_token_char(name.ptr[i]))
            return false;
    return true;
}

struct str admission_refusal_protocol(const struct http_head *head)
{
    struct http_list at = {0};
    struct str name;
    if (http_head_has_token(head, STR("sec-websocket-protocol"), STR(ADMISSION_PROTOCOL)))
        return STR(ADMISSION_PROTOCOL);
    while (http_fields_next(&head->fields, STR("sec-websocket-protocol"), &at, &name))
        if (is_name(name) && !looks_like_token(name))
            return name;
    return STR("");
}

static bool is_full(const struct admitter *admitter)
{
    size_t max = admitter->settings->max_connections;
    return max && quota_count(admitter->quota, QUOTA_SESSIONS, STR("")) >= max;
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
    out->protocol_offered = http_head_has_token(head, STR("sec-websocket-protocol"), STR(ADMISSION_PROTOCOL));
    if (admitter->unavailable != REASON_NONE)
        admission_refuse(admitter, out, admitter->unavailable);
    else if (is_full(admitter)) /* before the work of a verification */
        admission_refuse(admitter, out, REASON_CONNECTION_LIMIT);
    else if (!origin_is_allowed(out->endpoint, origin))
        admission_refuse(admitter, out, REASON_ORIGIN_DENIED);
    else
        check_token(admitter, head, out, error);
    if (out->outcome == ADMITTED)
        out->client = address_of_client(peer, &head->fields, settings->trusted_proxies, settings->trusted_proxy_count);
}

void admission_decide(struct admitter *admitter, const struct http_head *head, const struct address *peer,
                      struct admission *out, struct error *error)
{
    *out = (struct admission){.outcome = ADMITTED};
    out->endpoint = net_settings_find_endpoint(admitter->settings, head->path);
    if (!out->endpoint)
        admission_refuse_path(out, error);
    else if (check_form(head, out, error))
        decide(admitter, head, peer, out, error);
}
