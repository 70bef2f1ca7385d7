/* dev_tokens.c - see dev_tokens.h. */
#include "server/cli/dev_tokens.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/json/json.h"
#include "common/token/issue.h"
#include "server/cli/token_flags.h"

#define PATH "/dev/v1/tokens"

/* What a token says. The texts are borrowed. */
struct wish {
    struct str sub;
    struct str channels; /* JSON */
    uint64_t seconds;
    struct json_value claims; /* absent: none */
};

/* --- claims ---------------------------------------------------------------------------------------------------------
 */

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
            if (!is_own_claim(name) && !str_eq(name, STR("scope")))
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

static enum err issue(const struct dev_tokens *tokens, const struct wish *wish, struct buf *out, struct error *error)
{
    struct buf payload = {0};
    uint64_t now_s = clock_wall_ms() / 1000;
    buf_append_lit(&payload, "{\"sub\":");
    json_append_string(&payload, wish->sub);
    buf_appendf(&payload, ",\"iat\":%llu,\"exp\":%llu,\"channels\":%.*s", (unsigned long long)now_s,
                (unsigned long long)(now_s + wish->seconds), STR_ARG(wish->channels));
    merge(&payload, json_value_of(buf_str(&tokens->claims)), wish->claims);
    if (wish->claims.type)
        merge(&payload, wish->claims, (struct json_value){0});
    buf_append_char(&payload, '}');
    enum err err = token_issue(tokens->keys, 0, STR(""), buf_str(&payload), out, error);
    buf_fini(&payload);
    return err;
}

static const struct wish demo = {
    .sub = {DEMO_USER, sizeof DEMO_USER - 1}, .channels = {"[\"*\"]", 5}, .seconds = DEMO_TOKEN_DAYS * 86400};

enum err dev_tokens_issue(const struct dev_tokens *tokens, struct str user, struct buf *out, struct error *error)
{
    struct wish wish = demo;
    wish.sub = user;
    return issue(tokens, &wish, out, error);
}

/* --- from the start to the end --------------------------------------------------------------------------------------
 */

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

/* --- the route ------------------------------------------------------------------------------------------------------
 */

static void refuse(struct http_call *call, int status, const struct error *error)
{
    struct buf *body = &call->response.body;
    call->response.status = status;
    buf_clear(body);
    buf_appendf(body, "{\"error\":{\"code\":\"%s\",\"message\":", err_code(error->code));
    json_append_string(body, str_from_cstr(error->text));
    buf_append_lit(body, "}}");
    call->respond(call);
}

/* By the head alone. False: the call has been answered. */
static bool check_head(const struct dev_tokens *tokens, struct http_call *call)
{
    const struct http_request *request = &call->request;
    struct error error = {0};
    int status = 0;
    if (!str_eq(request->method, STR("POST"))) {
        call->response.allow = "POST";
        error_set(&error, ERR_INVALID_REQUEST, "only POST is possible here");
        status = 405;
    } else if (!atomic_load(&tokens->is_open)) {
        error_set(&error, ERR_UNAVAILABLE, "tokens are made once the server is ready, with token.secret");
        status = 503;
    }
    if (status)
        refuse(call, status, &error);
    return status == 0;
}

/* A member that does not count would be a misspelt one. */
static enum err check_names(struct json_value body, struct error *error)
{
    struct json_cursor cursor = json_walk(body);
    struct str name;
    struct json_value value;
    char quoted[ERROR_QUOTE_LEN];
    while (json_next(&cursor, &name, &value))
        if (!json_key_is(name, STR("sub")) && !json_key_is(name, STR("channels")) &&
            !json_key_is(name, STR("expires")) && !json_key_is(name, STR("claims")))
            return error_set(error, ERR_INVALID_REQUEST, "%s: expected sub, channels, expires or claims",
                             error_quote(name, quoted));
    return ERR_NONE;
}

static enum err check_claims(struct json_value claims, struct error *error)
{
    struct json_cursor cursor = json_walk(claims);
    struct str name;
    struct json_value value;
    while (claims.type && json_next(&cursor, &name, &value))
        if (is_own_claim(name))
            return error_set(error, ERR_INVALID_REQUEST, "claims: %.*s is a member beside claims, or is set here",
                             STR_ARG(name));
    return ERR_NONE;
}

/* The texts are borrowed from the body and from scratch. */
static enum err read_wish(struct str body, struct wish *wish, struct buf *scratch, struct error *error)
{
    struct json_value document, sub = {0}, channels = {0}, expires = {0};
    const struct json_field fields[] = {{"sub", JSON_STRING, false, &sub},
                                        {"channels", JSON_ARRAY, false, &channels},
                                        {"expires", JSON_STRING, false, &expires},
                                        {"claims", JSON_OBJECT, false, &wish->claims}};
    char seconds[16];
    *wish = demo;
    if (body.len == 0)
        return ERR_NONE;
    enum err err = json_check(body, NULL, &document, error);
    if (err == ERR_NONE)
        err = json_bind(document, "body", fields, sizeof fields / sizeof *fields, error);
    if (err == ERR_NONE)
        err = check_names(document, error);
    if (err == ERR_NONE)
        err = check_claims(wish->claims, error);
    if (err != ERR_NONE)
        return err;
    buf_reserve(scratch, body.len);
    if (sub.type && !json_text(sub, scratch, &wish->sub))
        return error_set(error, ERR_INVALID_REQUEST, "sub: must not contain \\u0000");
    if (channels.type)
        wish->channels = channels.raw;
    if (!expires.type)
        return ERR_NONE;
    snprintf(seconds, sizeof seconds, "%.*s", (int)expires.raw.len - 2, expires.raw.ptr + 1);
    if (!token_parse_seconds(seconds, &wish->seconds) || wish->seconds == 0)
        return error_set(error, ERR_INVALID_REQUEST, "expires: a time like 30s, 15m, 1h or 30d is expected");
    return ERR_NONE;
}

static void serve(void *owner, struct http_call *call)
{
    const struct dev_tokens *tokens = owner;
    struct buf scratch = {0}, token = {0};
    struct wish wish;
    struct error error;
    if (!call->request.admitted && !check_head(tokens, call))
        return;
    enum err err = read_wish(call->request.body, &wish, &scratch, &error);
    if (err == ERR_NONE)
        err = issue(tokens, &wish, &token, &error);
    if (err != ERR_NONE) {
        refuse(call, 400, &error);
    } else {
        struct buf *body = &call->response.body;
        buf_appendf(body, "{\"token\":\"%s\",\"ws_url\":\"%.*s%s\"}", buf_cstr(&token), STR_ARG(buf_str(&tokens->url)),
                    tokens->has_query ? buf_cstr(&token) : "");
        buf_append_lit(&call->response.headers, "Cache-Control: no-store\r\n");
        call->response.status = 200;
        call->respond(call);
    }
    buf_fini(&scratch);
    buf_fini(&token);
}

static bool has(void *owner, struct str path)
{
    (void)owner;
    return str_eq(path, STR(PATH));
}

static bool admit(void *owner, struct http_call *call)
{
    return check_head(owner, call);
}

const struct http_handler dev_tokens_handler = {.has = has, .admit = admit, .serve = serve};
