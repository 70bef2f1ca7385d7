/* dev_tokens.c - see dev_tokens.h. */
#include "server/cli/dev_tokens.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/json/json.h"
#include "common/token/issue.h"
#include "server/cli/dev_facts.h"
#include "server/cli/dev_tickets.h"
#include "server/cli/token_flags.h"
#include "server/dev/dev_json.h"
#include "server/dev/dev_route.h"
#include "server/dev/dev_server.h"

/* What a page or a test asks a token or a ticket to say. The texts are borrowed. */
struct token_request {
    struct str sub;
    struct str channels;          /* JSON */
    uint64_t seconds;             /* 0: not given */
    struct json_value claims;     /* absent: none */
    uint64_t number;              /* of tokens and tickets since the start; 0: one of the start */
    struct str purpose, resource; /* of a ticket. Without a pointer: not given */
};

/* --- claims ---------------------------------------------------------------------------------------------------- */

static const char *const own_claims[] = {"sub", "iat", "exp", "channels"};

static bool is_own_claim(struct str name)
{
    for (size_t i = 0; i < sizeof own_claims / sizeof *own_claims; i++)
        if (str_eq_cstr(name, own_claims[i]))
            return true;
    return false;
}

/* Appends a member to an object that is still open. */
static void append_member(struct buf *object, struct str name, struct str text)
{
    buf_append_char(object, object->len ? ',' : '{');
    json_append_string(object, name);
    buf_append_char(object, ':');
    json_append_string(object, text);
}

static void append_scope(struct buf *scopes, const char *scope)
{
    if (*scope)
        buf_appendf(scopes, "%s%s", scopes->len ? " " : "", scope);
}

static void append_scopes(const struct options *options, struct buf *out)
{
    struct buf scopes = {0};
    for (size_t i = 0; i < options->endpoints.count; i++)
        for (size_t j = 0; j < options->endpoints.items[i].require_scopes.count; j++)
            append_scope(&scopes, options->endpoints.items[i].require_scopes.items[j]);
    for (size_t i = 0; i < options->channels.count; i++)
        append_scope(&scopes, options->channels.items[i].require_scope);
    if (scopes.len)
        append_member(out, STR("scope"), buf_str(&scopes));
    buf_fini(&scopes);
}

/* Of several members with one name only the first counts (json_member), so a claim that two endpoints require may be
 * there twice. */
static void append_required(const struct options *options, struct buf *out)
{
    append_scopes(options, out);
    if (options->token_issuers.count)
        append_member(out, STR("iss"), str_from_cstr(options->token_issuers.items[0]));
    if (options->token_audiences.count)
        append_member(out, STR("aud"), str_from_cstr(options->token_audiences.items[0]));
    for (size_t i = 0; i < options->endpoints.count; i++)
        for (size_t j = 0; j < options->endpoints.items[i].require_claims.count; j++) {
            struct str name = str_from_cstr(options->endpoints.items[i].require_claims.items[j]);
            if (!is_own_claim(name) && !str_eq(name, STR("scope")) && !str_eq(name, STR("jti")))
                append_member(out, name, STR(DEMO_USER));
        }
    buf_append(out, out->len ? STR("}") : STR("{}"));
}

/* Appends the claims to the open payload, without those that `but` has. */
static void merge(struct buf *payload, struct json_value claims, struct json_value but)
{
    struct json_cursor cursor = json_walk(claims);
    struct str name;
    struct json_value value;
    while (json_next(&cursor, &name, &value)) {
        bool is_first = json_member(claims, name).raw.ptr == value.raw.ptr;
        if (is_first && !(but.type && json_member(but, name).type))
            buf_appendf(payload, ",\"%.*s\":%.*s", STR_ARG(name), STR_ARG(value.raw));
    }
}

/* Appends claims that no other token or ticket has: a client does not send a token again that was refused. seconds: 0:
 * they have no end of their own. */
static void append_claims(const struct dev_tokens *tokens, const struct token_request *wanted, uint64_t seconds,
                          struct buf *out)
{
    uint64_t now_ms = clock_wall_ms(), now_s = now_ms / 1000;
    buf_append_lit(out, "{\"sub\":");
    json_append_string(out, wanted->sub);
    buf_appendf(out, ",\"iat\":%llu", (unsigned long long)now_s);
    if (seconds)
        buf_appendf(out, ",\"exp\":%llu", (unsigned long long)(now_s + seconds));
    if (!wanted->claims.type || !json_member(wanted->claims, STR("jti")).type)
        buf_appendf(out, ",\"jti\":\"%llu-%llu\"", (unsigned long long)now_ms, (unsigned long long)wanted->number);
    buf_appendf(out, ",\"channels\":%.*s", STR_ARG(wanted->channels));
    merge(out, json_value_of(buf_str(&tokens->claims)), wanted->claims);
    if (wanted->claims.type)
        merge(out, wanted->claims, (struct json_value){0});
    buf_append_char(out, '}');
}

static enum err issue(const struct dev_tokens *tokens, const struct token_request *wanted, struct buf *out,
                      struct error *error)
{
    struct buf claims = {0};
    append_claims(tokens, wanted, wanted->seconds ? wanted->seconds : DEMO_TOKEN_DAYS * 86400, &claims);
    enum err err = token_issue(tokens->keys, 0, STR(""), buf_str(&claims), out, error);
    buf_fini(&claims);
    return err;
}

static const struct token_request demo = {.sub = {DEMO_USER, sizeof DEMO_USER - 1}, .channels = {"[\"*\"]", 5}};

enum err dev_tokens_issue(const struct dev_tokens *tokens, struct str user, struct buf *out, struct error *error)
{
    struct token_request wanted = demo;
    wanted.sub = user;
    return issue(tokens, &wanted, out, error);
}

/* --- from the start to the end --------------------------------------------------------------------------------- */

enum err dev_tokens_open(struct dev_tokens *tokens, const struct server_addresses *addresses,
                         const struct options *options, struct error *error)
{
    const struct endpoint_options *first = &options->endpoints.items[0];
    tokens->keys = token_keys_create();
    enum err err =
        token_keys_add_secret(tokens->keys, "token.secret", STR(""), 0, str_from_cstr(options->token_secret), error);
    if (err != ERR_NONE)
        return err;
    append_required(options, &tokens->claims);
    tokens->addresses = *addresses;
    tokens->has_query = first->token_query.count > 0;
    buf_appendf(&tokens->url, "ws%s://%s%s", *options->tls_certificate ? "s" : "", addresses->clients, first->path);
    if (tokens->has_query)
        buf_appendf(&tokens->url, "?%s=", first->token_query.items[0]);
    atomic_store(&tokens->is_open, true);
    return ERR_NONE;
}

void dev_tokens_fini(struct dev_tokens *tokens)
{
    token_keys_unref(tokens->keys);
    buf_fini(&tokens->claims);
    buf_fini(&tokens->url);
}

/* --- requests
 * ---------------------------------------------------------------------------------------------------------
 */

/* A ticket's claims may end at a time of their own. */
static enum err check_claims(struct json_value claims, bool of_ticket, struct error *error)
{
    struct json_cursor cursor = json_walk(claims);
    struct str name;
    struct json_value value;
    while (claims.type && json_next(&cursor, &name, &value))
        if (is_own_claim(name) && !(of_ticket && str_eq(name, STR("exp"))))
            return error_set(error, ERR_INVALID_REQUEST, "claims: %.*s is a member beside claims, or is set here",
                             STR_ARG(name));
    return ERR_NONE;
}

static enum err read_text(const char *name, struct json_value value, struct buf *scratch, struct str *out,
                          struct error *error)
{
    if (!value.type || json_text(value, scratch, out))
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "%s: must not contain \\u0000", name);
}

static enum err read_seconds(struct json_value expires, uint64_t *out, struct error *error)
{
    char seconds[16];
    if (!expires.type)
        return ERR_NONE;
    snprintf(seconds, sizeof seconds, "%.*s", (int)expires.raw.len - 2, expires.raw.ptr + 1);
    if (!token_parse_seconds(seconds, out) || *out == 0)
        return error_set(error, ERR_INVALID_REQUEST, "expires: a time like 30s, 15m, 1h or 30d is expected");
    return ERR_NONE;
}

/* The texts are borrowed from the body and from scratch. */
static enum err read_request(struct str body, bool of_ticket, struct token_request *wanted, struct buf *scratch,
                             struct error *error)
{
    struct json_value sub = {0}, channels = {0}, expires = {0}, purpose = {0}, resource = {0};
    const struct json_field fields[] = {
        {"sub", JSON_STRING, false, &sub},         {"channels", JSON_ARRAY, false, &channels},
        {"expires", JSON_STRING, false, &expires}, {"claims", JSON_OBJECT, false, &wanted->claims},
        {"purpose", JSON_STRING, false, &purpose}, {"resource", JSON_STRING, false, &resource}};
    const size_t of_tickets_only = 2;
    *wanted = demo;
    enum err err =
        dev_json_bind(body, fields, sizeof fields / sizeof *fields - (of_ticket ? 0 : of_tickets_only), error);
    if (!err)
        err = check_claims(wanted->claims, of_ticket, error);
    if (err)
        return err;
    buf_reserve(scratch, body.len);
    err = read_text("sub", sub, scratch, &wanted->sub, error);
    if (!err && wanted->sub.len == 0)
        err = error_set(error, ERR_INVALID_REQUEST, "sub: is empty, and every endpoint would refuse the token");
    if (!err)
        err = read_text("purpose", purpose, scratch, &wanted->purpose, error);
    if (!err)
        err = read_text("resource", resource, scratch, &wanted->resource, error);
    if (channels.type)
        wanted->channels = channels.raw;
    return err ? err : read_seconds(expires, &wanted->seconds, error);
}

/* --- the routes ------------------------------------------------------------------------------------------------ */

/* False: the call has been answered. */
static bool is_open(const struct dev_tokens *tokens, struct http_call *call)
{
    struct error error;
    if (atomic_load(&tokens->is_open))
        return true;
    error_set(&error, ERR_UNAVAILABLE, "tokens are made once the server is ready, with token.secret");
    dev_refuse(call, 503, &error);
    return false;
}

static void serve_token(const struct dev_tokens *tokens, struct http_call *call)
{
    struct buf scratch = {0}, token = {0};
    struct token_request wanted;
    struct error error;
    enum err err = read_request(call->request.body, false, &wanted, &scratch, &error);
    wanted.number = dev_number(tokens->dev);
    if (!err)
        err = issue(tokens, &wanted, &token, &error);
    if (err) {
        dev_refuse(call, 400, &error);
    } else {
        buf_appendf(&call->response.body, "{\"token\":\"%s\",\"ws_url\":\"%.*s%s\"}", buf_cstr(&token),
                    STR_ARG(buf_str(&tokens->url)), tokens->has_query ? buf_cstr(&token) : "");
        dev_answer(call);
    }
    buf_fini(&scratch);
    buf_fini(&token);
}

static void serve_ticket(const struct dev_tokens *tokens, struct http_call *call)
{
    struct buf scratch = {0}, claims = {0};
    struct token_request wanted;
    struct error error;
    if (read_request(call->request.body, true, &wanted, &scratch, &error)) {
        dev_refuse(call, 400, &error);
    } else {
        wanted.number = dev_number(tokens->dev);
        append_claims(tokens, &wanted, 0, &claims);
        dev_tickets_issue(tokens->dev, &tokens->addresses, call,
                          &(struct dev_ticket){.sub = wanted.sub,
                                               .claims = buf_str(&claims),
                                               .purpose = wanted.purpose,
                                               .resource = wanted.resource,
                                               .ttl_ms = wanted.seconds * 1000});
    }
    buf_fini(&scratch);
    buf_fini(&claims);
}

static const struct {
    const char *method;
    const char *path;
    void (*serve)(const struct dev_tokens *tokens, struct http_call *call);
} routes[] = {{"POST", "/dev/v1/tokens", serve_token}, {"POST", "/dev/v1/tickets", serve_ticket}};

static bool has(void *owner, struct str path)
{
    (void)owner;
    return str_eq_cstr(path, routes[0].path) || str_eq_cstr(path, routes[1].path);
}

/* By the head alone. False: the call has been answered. */
static bool check_head(const struct dev_tokens *tokens, struct http_call *call)
{
    struct error error;
    if (str_eq(call->request.method, STR("POST")))
        return is_open(tokens, call);
    call->response.allow = "POST";
    error_set(&error, ERR_INVALID_REQUEST, "only POST is possible here");
    dev_refuse(call, 405, &error);
    return false;
}

static bool admit(void *owner, struct http_call *call)
{
    return check_head(owner, call);
}

static void serve(void *owner, struct http_call *call)
{
    const struct dev_tokens *tokens = owner;
    if (!call->request.admitted && !check_head(tokens, call))
        return;
    routes[str_eq_cstr(call->request.path, routes[1].path)].serve(tokens, call);
}

const struct http_handler dev_tokens_handler = {.has = has, .admit = admit, .serve = serve};
