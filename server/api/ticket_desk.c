/* ticket_desk.c - see ticket_desk.h. */
#include "server/api/ticket_desk.h"

#include "common/base/alloc.h"
#include "common/json/json.h"
#include "server/core/ticket.h"
#include "server/net/admission/ticket_settings.h"

struct ticket_desk {
    struct ticket_desk_options options;
    struct buf scratch; /* unescaped texts of the request being read */
};

/* A request whose ticket the broker keeps. */
struct issue {
    struct ticket_desk *desk;
    struct http_call *call;
    char ticket[TICKET_LEN + 1];
};

static const struct ticket_settings *settings_of(const struct ticket_desk *desk)
{
    return desk->options.admitter->settings->tickets;
}

struct ticket_desk *ticket_desk_create(const struct ticket_desk_options *options)
{
    struct ticket_desk *desk = xcalloc(1, sizeof *desk);
    desk->options = *options;
    return desk;
}

void ticket_desk_destroy(struct ticket_desk *desk)
{
    buf_fini(&desk->scratch);
    free(desk);
}

bool ticket_desk_has(void *owner, struct str path)
{
    const struct ticket_settings *settings = settings_of(owner);
    return settings && str_eq(settings->path, path);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* A page may read the answer if its origin is allowed. Caches must not give an answer to another page, nor keep one. */
static void write_headers(const struct ticket_desk *desk, struct http_call *call)
{
    const struct ticket_settings *settings = settings_of(desk);
    struct str origin = call->request.origin;
    struct buf *out = &call->response.headers;
    buf_append_lit(out, "Cache-Control: no-store\r\nVary: Origin\r\n");
    if (origin.len == 0 || !settings || !admission_allows_origin(&settings->origins, origin))
        return;
    buf_append_lit(out, "Access-Control-Allow-Origin: ");
    buf_append(out, origin);
    buf_append_lit(out, "\r\nAccess-Control-Expose-Headers: Retry-After\r\n");
}

static void respond(const struct ticket_desk *desk, struct http_call *call, int status)
{
    call->response.status = status;
    write_headers(desk, call);
    if (status >= 400)
        metrics_add_labelled(desk->options.metrics, METRIC_TICKETS_REFUSED, metrics_status(status), 1);
    call->respond(call);
}

/* The settings may be gone since the head came: then the error has the API's form. */
static void refuse(const struct ticket_desk *desk, struct http_call *call, int status, enum err code, struct str text)
{
    const struct ticket_settings *settings = settings_of(desk);
    const struct json_filling fillings[TICKET_ERROR_PLACES] = {
        [TICKET_ERROR_CODE] = {.text = str_from_cstr(err_code(code))}, [TICKET_ERROR_MESSAGE] = {.text = text}};
    struct buf *body = &call->response.body;
    buf_clear(body);
    if (settings) {
        json_template_write(settings->error, fillings, body);
    } else {
        buf_appendf(body, "{\"error\":{\"code\":\"%s\",\"message\":", err_code(code));
        json_append_string(body, text);
        buf_append_lit(body, "}}");
    }
    respond(desk, call, status);
}

static void refuse_for(const struct ticket_desk *desk, struct http_call *call, enum reason reason)
{
    enum err code = reason_err(reason);
    int status = err_http_status(code);
    if (status == 503)
        call->response.retry_after_s = desk->options.admitter->settings->retry_after_s;
    refuse(desk, call, status, code, str_from_cstr(reason_sentence(reason)));
}

/* RFC 9110, 9.3.7; the Fetch standard, "CORS-preflight fetch". */
static void answer_options(const struct ticket_desk *desk, struct http_call *call)
{
    call->response.allow = "POST, OPTIONS";
    if (call->request.origin.len > 0)
        buf_append_lit(&call->response.headers, "Access-Control-Allow-Methods: POST\r\n"
                                                "Access-Control-Allow-Headers: Authorization, Content-Type\r\n"
                                                "Access-Control-Max-Age: 600\r\n");
    respond(desk, call, 204);
}

/* --- what must be good ----------------------------------------------------------------------------------------- */

static struct str given_token(const struct http_request *request)
{
    struct str scheme = str_from(request->authorization.ptr, request->authorization.len < 7 ? 0 : 7);
    return str_eq_nocase(scheme, STR("Bearer ")) ? str_trim(str_skip(request->authorization, 7)) : STR("");
}

/* False: too many, and refused. */
static bool take_rate(const struct ticket_desk *desk, struct http_call *call, char kind, struct str key, uint64_t rate)
{
    const struct ticket_desk_options *options = &desk->options;
    uint64_t retry_us = 0;
    if (ticket_rates_take(options->rates, kind, key, rate, turn_now_us(options->admitter->turn), &retry_us))
        return true;
    call->response.retry_after_s = (retry_us + 999999) / 1000000;
    refuse(desk, call, 429, ERR_RATE_LIMITED, STR("too many requests for tickets"));
    return false;
}

/* By the head alone. True: *out_claims has one reference. False: the call has been answered. */
static bool check_head(const struct ticket_desk *desk, struct http_call *call, struct claims **out_claims)
{
    const struct http_request *request = &call->request;
    const struct ticket_settings *settings = settings_of(desk);
    struct admitter *admitter = desk->options.admitter;
    if (!settings) {
        refuse(desk, call, 404, ERR_NOT_FOUND, STR("there is nothing at this path"));
    } else if (str_eq(request->method, STR("OPTIONS"))) {
        answer_options(desk, call);
    } else if (!str_eq(request->method, STR("POST"))) {
        call->response.allow = "POST, OPTIONS";
        refuse(desk, call, 405, ERR_INVALID_REQUEST, STR("a ticket is asked for by POST"));
    } else if (admitter->unavailable) {
        refuse_for(desk, call, admitter->unavailable);
    } else if (!admission_allows_origin(&settings->origins, request->origin)) {
        refuse_for(desk, call, REASON_ORIGIN_DENIED);
    } else if (request->admitted || take_rate(desk, call, 'a', request->address_key, settings->rate_per_address)) {
        struct str token = given_token(request);
        if (!token.len) {
            refuse(desk, call, 401, ERR_UNAUTHORIZED, STR("a token is required, in the header Authorization: Bearer"));
            return false;
        }
        enum reason reason = admitter_verify(admitter, token, out_claims);
        if (reason == REASON_NONE)
            return true;
        refuse_for(desk, call, reason);
    }
    return false;
}

/* A purpose or resource: a text, or a whole number. Absent: empty. */
static enum err read_text(struct ticket_desk *desk, const struct json_pointer *pointer, struct json_value body,
                          const char *what, struct str *out, struct error *error)
{
    struct json_value value = json_pointer_find(pointer, body);
    uint64_t number;
    bool good = true;
    *out = STR("");
    if (value.type == JSON_STRING)
        good = json_text(value, &desk->scratch, out);
    else if (value.type == JSON_NUMBER && json_u64(value, &number))
        *out = value.raw;
    else
        good = !value.type || value.type == JSON_NULL;
    if (good && out->len <= TICKET_TEXT_MAX)
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "the %s must be a text of at most %d bytes", what, TICKET_TEXT_MAX);
}

static enum err read_facts(struct ticket_desk *desk, struct str body, struct ticket_facts *out, struct error *error)
{
    const struct ticket_settings *settings = settings_of(desk);
    struct json_value value;
    buf_clear(&desk->scratch);
    buf_reserve(&desk->scratch, 2 * body.len); /* so that the texts do not move */
    if (body.len == 0)
        return error_set(error, ERR_INVALID_REQUEST, "the body is empty; a JSON object is expected");
    enum err err = json_check(body, NULL, &value, error);
    if (!err && value.type != JSON_OBJECT)
        err = error_set(error, ERR_INVALID_REQUEST, "the body must be a JSON object");
    if (!err)
        err = read_text(desk, settings->purpose, value, "purpose", &out->purpose, error);
    return err ? err : read_text(desk, settings->resource, value, "resource", &out->resource, error);
}

/* --- issuing ------------------------------------------------------------------------------------------------------ */

static void answer_ticket(const struct issue *issue, uint64_t ttl_ms)
{
    const struct ticket_settings *settings = settings_of(issue->desk);
    char seconds[24];
    int len = snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(ttl_ms / 1000));
    const struct json_filling fillings[TICKET_ANSWER_PLACES] = {
        [TICKET_ANSWER_TICKET] = {.text = str_from(issue->ticket, TICKET_LEN)},
        [TICKET_ANSWER_EXPIRES_IN] = {.text = str_from(seconds, (size_t)len), .json = true}};
    if (!settings) { /* a reload has taken the route away */
        refuse(issue->desk, issue->call, 404, ERR_NOT_FOUND, STR("there is nothing at this path"));
        return;
    }
    metrics_add(issue->desk->options.metrics, METRIC_TICKETS_ISSUED, 1);
    json_template_write(settings->answer, fillings, &issue->call->response.body);
    respond(issue->desk, issue->call, 200);
}

static void issued(struct request *base, void *owner)
{
    struct issue *issue = base->waiter;
    (void)owner;
    if (request_code(base))
        refuse_for(issue->desk, issue->call, REASON_BROKER_AWAY);
    else
        answer_ticket(issue, ticket_request_of(base)->ttl_ms);
    explicit_bzero(issue->ticket, sizeof issue->ticket);
    free(issue);
    request_destroy(base);
}

static void issue_ticket(struct ticket_desk *desk, struct http_call *call, const struct ticket_facts *facts)
{
    const struct net_settings *net = desk->options.admitter->settings;
    struct issue *issue = xcalloc(1, sizeof *issue);
    char key[TICKET_KEY_LEN + 1];
    issue->desk = desk;
    issue->call = call;
    ticket_make(issue->ticket);
    ticket_key(str_from(issue->ticket, TICKET_LEN), key);
    struct ticket_request *request =
        ticket_request_create(TICKET_ISSUE, str_from(key, TICKET_KEY_LEN), facts, STR(""), STR(""));
    request->ttl_ms = net->tickets->ttl_ms;
    request->max = net->tickets_max;
    request->base.reply_to = desk->options.replies;
    request->base.done = issued;
    request->base.waiter = issue;
    desk->options.ask(desk->options.owner, &request->base);
}

bool ticket_desk_admit(void *owner, struct http_call *call)
{
    struct claims *claims = NULL;
    bool good = check_head(owner, call, &claims);
    claims_unref(claims);
    return good;
}

void ticket_desk_refuse(void *owner, struct http_call *call, int status, enum err code, struct str text)
{
    refuse(owner, call, status, code, text);
}

void ticket_desk_serve(void *owner, struct http_call *call)
{
    struct ticket_desk *desk = owner;
    struct claims *claims = NULL;
    struct error error;
    if (!check_head(desk, call, &claims))
        return;
    struct ticket_facts facts = {.claims = claims->payload.raw, .resumes = settings_of(desk)->resumes};
    if (take_rate(desk, call, 'u', claims->sub, settings_of(desk)->rate_per_user)) {
        enum err err = read_facts(desk, call->request.body, &facts, &error);
        if (err)
            refuse(desk, call, err_http_status(err), err, str_from_cstr(error.text));
        else
            issue_ticket(desk, call, &facts);
    }
    claims_unref(claims);
}
