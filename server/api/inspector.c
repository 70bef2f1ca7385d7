/* inspector.c - see inspector.h. */
#include "server/api/inspector.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/json/json.h"
#include "common/protocol/http_head.h"
#include "server/api/inspector_logins.h"
#include "server/api/ticket_rates.h"
#include "server/console/console.h"
#include "server/console/own_page.h"

#define FOLDER    "/console"
#define LOGIN     "/console/login"
#define LOGOUT    "/console/logout"
#define API_PATHS "/console/api/v1/"
enum { WRONG_KEYS_PER_MINUTE = 10, FORM_MAX = 4096, COOKIE_LEN_MAX = 40 };

struct inspector {
    struct inspector_logins logins;
    struct ticket_rates *wrong_keys; /* of each address */
};

struct inspector *inspector_create(void)
{
    struct inspector *inspector = xcalloc(1, sizeof *inspector);
    inspector_logins_init(&inspector->logins);
    inspector->wrong_keys = ticket_rates_create();
    return inspector;
}

void inspector_destroy(struct inspector *inspector)
{
    if (!inspector)
        return;
    ticket_rates_destroy(inspector->wrong_keys);
    inspector_logins_fini(&inspector->logins);
    free(inspector);
}

void inspector_forget(struct inspector *inspector)
{
    inspector_logins_forget(&inspector->logins);
}

static struct str field(const struct http_call *call, struct str name)
{
    struct str value = STR("");
    http_fields_find(call->request.fields, name, &value);
    return value;
}

/* A proxy that speaks TLS says so. */
static bool is_secure(const struct http_call *call)
{
    return str_eq_nocase(field(call, STR("x-forwarded-proto")), STR("https"));
}

/* The name of our cookie. A browser gives a cookie to each port of a host, so the name has the port: two nodes on one
 * host keep their logins apart. With __Host- no other host of the same site can set it (RFC 6265bis, 4.1.3). */
static struct str cookie_name(const struct http_call *call, char out[COOKIE_LEN_MAX + 1])
{
    struct str host = call->request.host;
    size_t digits = 0;
    while (digits < host.len && digits < 5 && host.ptr[host.len - 1 - digits] >= '0' &&
           host.ptr[host.len - 1 - digits] <= '9')
        digits++;
    bool has_port = digits > 0 && digits < host.len && host.ptr[host.len - 1 - digits] == ':';
    int len = snprintf(out, COOKIE_LEN_MAX + 1, "%scarillon_console%s%.*s", is_secure(call) ? "__Host-" : "",
                       has_port ? "_" : "", has_port ? (int)digits : 0, host.ptr + host.len - digits);
    return str_from(out, (size_t)len);
}

/* The value of our cookie; empty if there is none (RFC 6265, 4.2.1). */
static struct str cookie_of(const struct http_call *call)
{
    char text[COOKIE_LEN_MAX + 1];
    struct str name = cookie_name(call, text), rest = field(call, STR("cookie"));
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, ';', rest.len);
        struct str pair = str_trim(str_from(rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len));
        if (str_starts_with(pair, name) && pair.len > name.len && pair.ptr[name.len] == '=')
            return str_skip(pair, name.len + 1);
        rest = end ? str_skip(rest, (size_t)(end - rest.ptr) + 1) : STR("");
    }
    return STR("");
}

/* With an empty value the cookie goes. */
static void set_cookie(struct http_call *call, const char *value)
{
    char name[COOKIE_LEN_MAX + 1];
    cookie_name(call, name);
    buf_appendf(&call->response.headers, "Set-Cookie: %s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s\r\n", name,
                value, *value ? INSPECTOR_LOGIN_S : 0, is_secure(call) ? "; Secure" : "");
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void refuse(struct http_call *call, int status, enum err code, const char *text)
{
    struct buf *body = &call->response.body;
    call->response.status = status;
    buf_appendf(body, "{\"error\":{\"code\":\"%s\",\"message\":", err_code(code));
    json_append_string(body, str_from_cstr(text));
    buf_append_lit(body, "}}");
    buf_append_lit(&call->response.headers, "Cache-Control: no-store\r\n");
    call->respond(call);
}

static bool gets(const struct http_call *call)
{
    return str_eq_cstr(call->request.method, "GET") || str_eq_cstr(call->request.method, "HEAD");
}

static void refuse_method(struct http_call *call, const char *allow)
{
    call->response.allow = allow;
    refuse(call, 405, ERR_INVALID_REQUEST, "the method is not for this route; the Allow header says which are");
}

/* What shows who is there, and no event. */
static bool may_be_asked(struct str path)
{
    static const char *const whole[] = {"/api/v1/info", "/api/v1/sessions", "/api/v1/channels"};
    static const struct str session = {"/api/v1/sessions/", 17};
    static const struct str channel = {"/api/v1/channels/", 17}, presence = {"/presence", 9};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (str_eq_cstr(path, whole[i]))
            return true;
    if (str_starts_with(path, session))
        return !memchr(path.ptr + session.len, '/', path.len - session.len);
    if (!str_starts_with(path, channel))
        return false;
    struct str rest = str_skip(path, channel.len);
    const char *slash = memchr(rest.ptr, '/', rest.len);
    return !slash || str_eq(str_skip(rest, (size_t)(slash - rest.ptr)), presence);
}

static void ask_api(struct api *api, struct http_call *call)
{
    call->request.path = str_skip(call->request.path, sizeof FOLDER - 1);
    if (!may_be_asked(call->request.path)) {
        refuse(call, 404, ERR_NOT_FOUND, "the inspector does not show this");
        return;
    }
    buf_append_lit(&call->response.headers, "Cache-Control: no-store\r\n");
    call->request.authorization = STR("");
    call->request.api_key = api_first_key(api);
    api_handle(api, call);
}

/* A browser gets the form again, a program JSON. */
static void refuse_login(struct http_call *call, int status, enum err code, struct str sentence)
{
    struct str accept = field(call, STR("accept"));
    if (memmem(accept.ptr, accept.len, "text/html", 9))
        console_answer_login(call, status, sentence);
    else
        refuse(call, status, code, sentence.ptr);
}

/* An address that has sent too many wrong keys is refused before its key is looked at. */
static void log_in(struct inspector *inspector, const struct api *api, struct http_call *call, uint64_t now_us)
{
    struct buf scratch = {0};
    struct str key, address = call->request.address;
    struct error error;
    uint64_t retry_us = 0;
    char id[INSPECTOR_LOGIN_ID_LEN + 1];
    if (!ticket_rates_has(inspector->wrong_keys, 'l', address, WRONG_KEYS_PER_MINUTE, now_us, &retry_us)) {
        call->response.retry_after_s = retry_us / 1000000 + 1;
        refuse_login(call, 429, ERR_RATE_LIMITED,
                     STR("There were too many wrong keys from this address. Wait a minute."));
    } else if (call->request.body.len > FORM_MAX) { /* it came with the head */
        refuse(call, 413, ERR_TOO_LARGE, "a form of at most 4096 bytes is expected");
    } else if (http_query_get(call->request.body, STR("key"), &scratch, &key, &error) || !key.ptr) {
        refuse(call, 400, ERR_INVALID_REQUEST, "a form with the field key is expected");
    } else if (!api_has_key(api, key)) {
        ticket_rates_take(inspector->wrong_keys, 'l', address, WRONG_KEYS_PER_MINUTE, now_us, &retry_us);
        refuse_login(call, 401, ERR_UNAUTHORIZED, STR("The key is not one of this node's (api.keys)."));
    } else {
        inspector_logins_begin(&inspector->logins, now_us, id);
        call->response.status = 303;
        buf_append_lit(&call->response.headers, "Location: /\r\nCache-Control: no-store\r\n");
        set_cookie(call, id);
        call->respond(call);
    }
    buf_fini(&scratch);
}

static void log_out(struct inspector *inspector, struct http_call *call)
{
    call->response.status = 303;
    buf_append_lit(&call->response.headers, "Location: /\r\nCache-Control: no-store\r\n");
    if (inspector_logins_end(&inspector->logins, cookie_of(call)))
        set_cookie(call, "");
    call->respond(call);
}

/* A form of another page would end the login, or use up the attempts of its user. */
static bool is_of_own_page(const struct http_call *call)
{
    return own_page_asks(&call->request, is_secure(call) ? STR("https") : STR("http"));
}

static bool posts(const struct http_call *call, const char *path)
{
    return str_eq_cstr(call->request.path, path) && str_eq_cstr(call->request.method, "POST");
}

static bool takes_form(struct str path)
{
    return str_eq_cstr(path, LOGIN) || str_eq_cstr(path, LOGOUT);
}

/* --- routes ------------------------------------------------------------------------------------------------------- */

bool inspector_has(struct str path)
{
    return str_starts_with(path, STR(FOLDER "/")) || console_find_of_inspector(path, true);
}

bool inspector_admit(struct http_call *call)
{
    uint64_t length;
    bool of_login = posts(call, LOGIN);
    if (of_login && str_to_u64(field(call, STR("content-length")), &length) && length <= FORM_MAX)
        return true;
    if (of_login)
        refuse(call, 413, ERR_TOO_LARGE, "a form of at most 4096 bytes, with its length, is expected");
    else if (!gets(call) && !posts(call, LOGOUT))
        refuse_method(call, takes_form(call->request.path) ? "POST" : "GET, HEAD");
    else
        refuse(call, 400, ERR_INVALID_REQUEST, "this route takes no body");
    return false;
}

void inspector_serve(struct inspector *inspector, struct api *api, struct http_call *call, uint64_t now_us)
{
    struct str path = call->request.path;
    bool logged_in = inspector_logins_has(&inspector->logins, cookie_of(call), now_us);
    const struct console_file *file = console_find_of_inspector(path, logged_in);
    if (takes_form(path) && !is_of_own_page(call))
        refuse(call, 403, ERR_FORBIDDEN, "a page of another origin may neither log in nor log out");
    else if (posts(call, LOGIN))
        log_in(inspector, api, call, now_us);
    else if (posts(call, LOGOUT))
        log_out(inspector, call);
    else if (takes_form(path))
        refuse_method(call, "POST");
    else if (!gets(call))
        refuse_method(call, "GET, HEAD");
    else if (file)
        console_answer(call, file);
    else if (!logged_in)
        refuse(call, 401, ERR_UNAUTHORIZED, "nobody has logged in at /");
    else if (str_starts_with(path, STR(API_PATHS)))
        ask_api(api, call);
    else
        refuse(call, 404, ERR_NOT_FOUND, "there is no such page");
}
