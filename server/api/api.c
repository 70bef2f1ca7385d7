/* api.c - see api.h. */
#include "server/api/api.h"

#include "common/base/alloc.h"
#include "server/api/api_private.h"

static const struct route {
    const char *method;
    const char *path;
    bool needs_key;
    enum metrics_route label;
    void (*answer)(const struct api_request *request);
} routes[] = {
#define ROUTE(method, path, key, symbol, text, function) {method, path, key, METRICS_ROUTE_##symbol, function},
#include "common/protocol/routes.def"
#undef ROUTE
};

/* --- settings -------------------------------------------------------------------------------------------------- */

static void drop_config(struct api *api)
{
    struct str *keys = (struct str *)(uintptr_t)api->config.keys; /* ours, const only for its readers */
    for (size_t i = 0; i < api->config.key_count; i++)
        free((char *)(uintptr_t)keys[i].ptr);
    free(keys);
    rules_unref(api->config.rules);
}

void api_configure(struct api *api, const struct api_config *config)
{
    struct api_config next = *config;
    struct str *keys = xcalloc(config->key_count, sizeof *keys);
    for (size_t i = 0; i < config->key_count; i++)
        keys[i] = str_from(str_dup(config->keys[i]), config->keys[i].len);
    next.keys = keys;
    rules_ref(next.rules);
    drop_config(api);
    api->config = next;
}

struct api *api_create(const struct api_config *config, const struct api_ops *ops, void *owner,
                       const struct api_identity *identity, struct metrics *metrics, struct mailbox *replies)
{
    struct api *api = xcalloc(1, sizeof *api);
    api->ops = ops;
    api->owner = owner;
    api->identity = *identity;
    api->metrics = metrics;
    api->replies = replies;
    api_configure(api, config);
    return api;
}

void api_destroy(struct api *api)
{
    drop_config(api);
    buf_fini(&api->scratch);
    free(api);
}

/* --- keys ------------------------------------------------------------------------------------------------------ */

/* Takes a time that depends on the given text alone. */
static bool is_key(struct str key, struct str given)
{
    volatile unsigned difference = key.len != given.len;
    for (size_t i = 0; i < given.len && key.len; i++)
        difference = difference | (unsigned char)(given.ptr[i] ^ key.ptr[i % key.len]);
    return difference == 0 && key.len > 0;
}

static struct str given_key(const struct http_request *request)
{
    struct str scheme = str_from(request->authorization.ptr, request->authorization.len < 7 ? 0 : 7);
    if (str_eq_nocase(scheme, STR("Bearer ")))
        return str_trim(str_skip(request->authorization, 7));
    return request->api_key;
}

bool api_has_key(const struct api *api, struct str given)
{
    bool found = false;
    for (size_t i = 0; i < api->config.key_count; i++)
        found = is_key(api->config.keys[i], given) | found; /* always all of them */
    return found;
}

struct str api_first_key(const struct api *api)
{
    return api->config.key_count ? api->config.keys[0] : STR("");
}

static enum err check_key(const struct api *api, const struct http_request *request, struct error *error)
{
    struct str given = given_key(request);
    if (api->config.key_count == 0)
        return error_set(error, ERR_UNAUTHORIZED,
                         "this node has no API key, so nothing can be asked of it; set api.keys");
    if (given.len == 0)
        return error_set(error, ERR_UNAUTHORIZED,
                         "an API key is required: Authorization: Bearer <key>, or X-API-Key: <key>");
    if (!api_has_key(api, given))
        return error_set(error, ERR_UNAUTHORIZED, "the API key is not one of this node's (api.keys)");
    return ERR_NONE;
}

/* --- routes ---------------------------------------------------------------------------------------------------- */

/* A pattern is literal, or has one {} that stands for one segment that is not empty. */
static bool path_matches(struct str pattern, struct str path, struct str *out_segment)
{
    const char *hole = memchr(pattern.ptr, '{', pattern.len);
    if (!hole)
        return str_eq(pattern, path);
    struct str before = str_from(pattern.ptr, (size_t)(hole - pattern.ptr));
    struct str after = str_from(hole + 2, pattern.len - before.len - 2);
    if (path.len <= before.len + after.len || !str_starts_with(path, before) ||
        !str_eq(str_from(path.ptr + path.len - after.len, after.len), after))
        return false;
    struct str segment = str_from(path.ptr + before.len, path.len - before.len - after.len);
    if (memchr(segment.ptr, '/', segment.len))
        return false;
    *out_segment = segment;
    return true;
}

/* RFC 9110, 9.3.7: what the whole listener can do. */
static void answer_options(const struct api_request *request)
{
    request->call->response.allow = "GET, HEAD, POST, OPTIONS";
    request->call->response.content_type = "text/plain";
    api_respond(request, 200);
}

static void refuse_path(const struct api_request *request, const char *allow)
{
    const struct http_request *http = &request->call->request;
    struct error error;
    char quoted[ERROR_QUOTE_LEN];
    if (!allow) {
        error_set(&error, ERR_NOT_FOUND, "there is no route %s", error_quote(http->path, quoted));
        api_respond_error(request, &error);
        return;
    }
    request->call->response.allow = allow;
    error_set(&error, ERR_INVALID_REQUEST, "the method %s is not for this route; use %s",
              error_quote(http->method, quoted), allow);
    buf_append_char(&request->call->response.body, '{');
    api_append_error(&request->call->response.body, &error);
    buf_append_char(&request->call->response.body, '}');
    api_respond(request, 405);
}

/* Finds the route of the request. NULL: there is none for it, and the refusal has been answered. */
static const struct route *admit(struct api_request *request)
{
    const struct http_request *http = &request->call->request;
    struct error error;
    const char *allow = NULL;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const struct route *route = &routes[i];
        if (!path_matches(str_from_cstr(route->path), http->path, &request->segment))
            continue;
        bool gets = str_eq_cstr(STR("GET"), route->method);
        if (!str_eq_cstr(http->method, route->method) && !(gets && str_eq_cstr(http->method, "HEAD"))) {
            allow = gets ? "GET, HEAD" : route->method;
            continue;
        }
        request->route = route->label;
        enum err err = ERR_NONE;
        if (route->needs_key)
            err = check_key(request->api, http, &error);
        else if (http->has_body) /* strangers' bodies are not kept */
            err = error_set(&error, ERR_INVALID_REQUEST, "this route takes no body");
        if (err == ERR_NONE)
            return route;
        api_respond_error(request, &error);
        return NULL;
    }
    if (str_eq_cstr(http->path, "*"))
        answer_options(request);
    else
        refuse_path(request, allow);
    return NULL;
}

bool api_admit(struct api *api, struct http_call *call)
{
    struct api_request request = {.api = api, .call = call, .route = METRICS_ROUTE_OTHER};
    return admit(&request) != NULL;
}

void api_handle(struct api *api, struct http_call *call)
{
    struct api_request request = {.api = api, .call = call, .route = METRICS_ROUTE_OTHER};
    const struct route *route = admit(&request);
    if (route)
        route->answer(&request);
}
