/* inspector.c - see inspector.h. */
#include "server/api/inspector.h"

#include <pthread.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/random.h"
#include "common/json/json.h"
#include "common/protocol/http_head.h"
#include "server/api/ticket_rates.h"
#include "server/console/console.h"

#define COOKIE    "carillon_console"
#define FOLDER    "/console"
#define LOGIN     "/console/login"
#define LOGOUT    "/console/logout"
#define API_PATHS "/console/api/v1/"
enum { ID_BYTES = 32, ID_LEN = 2 * ID_BYTES, LOGINS_MAX = 256, HOURS = 8, ATTEMPTS_PER_MINUTE = 10, FORM_MAX = 4096 };

struct login {
    char id[ID_LEN + 1]; /* empty: none */
    uint64_t ends_us;
};

struct inspector {
    pthread_mutex_t mutex;
    struct login logins[LOGINS_MAX];
    struct ticket_rates *attempts;
};

struct inspector *inspector_create(void)
{
    struct inspector *inspector = xcalloc(1, sizeof *inspector);
    pthread_mutex_init(&inspector->mutex, NULL);
    inspector->attempts = ticket_rates_create();
    return inspector;
}

void inspector_destroy(struct inspector *inspector)
{
    if (!inspector)
        return;
    ticket_rates_destroy(inspector->attempts);
    pthread_mutex_destroy(&inspector->mutex);
    free(inspector);
}

/* --- logins ------------------------------------------------------------------------------------------------------- */

void inspector_forget(struct inspector *inspector)
{
    pthread_mutex_lock(&inspector->mutex);
    memset(inspector->logins, 0, sizeof inspector->logins);
    pthread_mutex_unlock(&inspector->mutex);
}

/* In the place of the one that ends first. */
static void begin(struct inspector *inspector, uint64_t now_us, char out_id[ID_LEN + 1])
{
    unsigned char bytes[ID_BYTES];
    struct login *place = inspector->logins;
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out_id + 2 * i, 3, "%02x", bytes[i]);
    pthread_mutex_lock(&inspector->mutex);
    for (size_t i = 1; i < LOGINS_MAX; i++)
        if (inspector->logins[i].ends_us < place->ends_us)
            place = &inspector->logins[i];
    memcpy(place->id, out_id, ID_LEN + 1);
    place->ends_us = now_us + HOURS * 3600ull * 1000000;
    pthread_mutex_unlock(&inspector->mutex);
}

/* Takes a time that does not depend on how much of an id is right. */
static bool is_id(const struct login *login, struct str given)
{
    unsigned difference = 0;
    for (size_t i = 0; i < ID_LEN; i++)
        difference |= (unsigned char)(login->id[i] ^ given.ptr[i]);
    return difference == 0;
}

static void end(struct inspector *inspector, struct str id)
{
    if (id.len != ID_LEN)
        return;
    pthread_mutex_lock(&inspector->mutex);
    for (size_t i = 0; i < LOGINS_MAX; i++)
        if (is_id(&inspector->logins[i], id))
            inspector->logins[i] = (struct login){0};
    pthread_mutex_unlock(&inspector->mutex);
}

static bool is_known(struct inspector *inspector, struct str id, uint64_t now_us)
{
    bool found = false;
    if (id.len != ID_LEN)
        return false;
    pthread_mutex_lock(&inspector->mutex);
    for (size_t i = 0; i < LOGINS_MAX; i++)
        found = (inspector->logins[i].ends_us > now_us && is_id(&inspector->logins[i], id)) | found;
    pthread_mutex_unlock(&inspector->mutex);
    return found;
}

static struct str field(const struct http_call *call, struct str name)
{
    struct str value = STR("");
    http_fields_find(call->request.fields, name, &value);
    return value;
}

/* The value of our cookie; empty if there is none (RFC 6265, 4.2.1). */
static struct str cookie_of(const struct http_call *call)
{
    struct str rest = field(call, STR("cookie"));
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, ';', rest.len);
        struct str pair = str_trim(str_from(rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len));
        if (str_starts_with(pair, STR(COOKIE "=")))
            return str_skip(pair, sizeof COOKIE);
        rest = end ? str_skip(rest, (size_t)(end - rest.ptr) + 1) : STR("");
    }
    return STR("");
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

/* A proxy that speaks TLS says so. */
static const char *secure(const struct http_call *call)
{
    return str_eq_nocase(field(call, STR("x-forwarded-proto")), STR("https")) ? "; Secure" : "";
}

static void log_in(struct inspector *inspector, const struct api *api, struct http_call *call, uint64_t now_us)
{
    struct buf scratch = {0};
    struct str key;
    struct error error;
    uint64_t retry_us = 0;
    char id[ID_LEN + 1];
    if (!ticket_rates_take(inspector->attempts, 'l', call->request.address, ATTEMPTS_PER_MINUTE, now_us, &retry_us)) {
        call->response.retry_after_s = retry_us / 1000000 + 1;
        refuse(call, 429, ERR_RATE_LIMITED,
               "there were too many attempts from this address; the Retry-After header says when to go on");
    } else if (call->request.body.len > FORM_MAX) { /* it came with the head */
        refuse(call, 413, ERR_TOO_LARGE, "a form of at most 4096 bytes is expected");
    } else if (http_query_get(call->request.body, STR("key"), &scratch, &key, &error) || !key.ptr) {
        refuse(call, 400, ERR_INVALID_REQUEST, "a form with the field key is expected");
    } else if (!api_has_key(api, key)) {
        refuse(call, 401, ERR_UNAUTHORIZED, "the key is not one of this node's (api.keys)");
    } else {
        begin(inspector, now_us, id);
        call->response.status = 303;
        buf_appendf(&call->response.headers,
                    "Location: /\r\nCache-Control: no-store\r\n"
                    "Set-Cookie: " COOKIE "=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s\r\n",
                    id, HOURS * 3600, secure(call));
        call->respond(call);
    }
    buf_fini(&scratch);
}

/* The cookie is of the same site only, so no other page can order this. */
static void log_out(struct inspector *inspector, struct http_call *call)
{
    end(inspector, cookie_of(call));
    call->response.status = 303;
    buf_append_lit(&call->response.headers,
                   "Location: /\r\nCache-Control: no-store\r\n"
                   "Set-Cookie: " COOKIE "=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict\r\n");
    call->respond(call);
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
    bool logged_in = is_known(inspector, cookie_of(call), now_us);
    const struct console_file *file = console_find_of_inspector(path, logged_in);
    if (posts(call, LOGIN))
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
