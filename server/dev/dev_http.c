/* dev_http.c - see dev_http.h. */
#include "server/dev/dev_http.h"

#include "server/console/console.h"
#include "server/dev/dev_route.h"

#define ROOT "/dev/v1/"

static const struct dev_route *const tables[] = {broker_routes,   channels_routes, clock_routes, console_routes,
                                                 fault_routes,    journal_routes,  reset_routes, session_routes,
                                                 snapshot_routes, verify_routes,   wait_routes};

/* A path is literal, or ends in {id}, which stands for one segment that is not empty. */
static bool path_matches(const char *pattern, struct str path, struct str *out_rest)
{
    const char *hole = strchr(pattern, '{');
    *out_rest = STR("");
    if (!hole)
        return str_eq_cstr(path, pattern);
    struct str before = str_from(pattern, (size_t)(hole - pattern));
    if (path.len <= before.len || !str_starts_with(path, before))
        return false;
    *out_rest = str_skip(path, before.len);
    return !memchr(out_rest->ptr, '/', out_rest->len);
}

/* NULL: there is none. *out_allow then lists the methods of the path, separated by ", "; empty if there is no such
 * path. */
static const struct dev_route *find(const struct http_request *request, struct buf *out_allow, struct str *out_rest)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct dev_route *route = tables[i]; route->path; route++) {
            if (!path_matches(route->path, request->path, out_rest))
                continue;
            bool gets = strcmp(route->method, "GET") == 0;
            if (str_eq_cstr(request->method, route->method) || (gets && str_eq_cstr(request->method, "HEAD")))
                return route;
            buf_appendf(out_allow, "%s%s%s", out_allow->len ? ", " : "", route->method, gets ? ", HEAD" : "");
        }
    return NULL;
}

static void refuse_path(struct http_call *call, struct buf *allow)
{
    struct error error;
    char quoted[ERROR_QUOTE_LEN];
    if (allow->len) {
        error_set(&error, ERR_INVALID_REQUEST, "the method %s is not for this route; use %s",
                  error_quote(call->request.method, quoted), buf_cstr(allow));
        buf_appendf(&call->response.headers, "Allow: %s\r\n", buf_cstr(allow));
        dev_refuse(call, 405, &error);
    } else {
        error_set(&error, ERR_NOT_FOUND, "there is no route %s", error_quote(call->request.path, quoted));
        dev_refuse(call, 404, &error);
    }
}

static void serve(void *owner, struct http_call *call)
{
    struct buf allow = {0};
    struct str rest;
    const struct dev_route *route = find(&call->request, &allow, &rest);
    if (route)
        route->serve(owner, call, rest);
    else
        refuse_path(call, &allow);
    buf_fini(&allow);
}

static bool admit(void *owner, struct http_call *call)
{
    (void)owner;
    (void)call;
    return true;
}

static bool has(void *owner, struct str path)
{
    (void)owner;
    return str_starts_with(path, STR(ROOT)) || console_find(path);
}

const struct http_handler dev_handler = {.has = has, .admit = admit, .serve = serve};
