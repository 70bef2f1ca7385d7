/* api_tickets.c - POST /api/v1/tickets: a ticket for a user, with claims that the backend vouches for. */
#include "common/base/alloc.h"
#include "common/token/claims.h"
#include "server/api/api_private.h"
#include "server/core/ticket.h"

static const uint64_t ttl_max_ms = UINT64_C(24) * 60 * 60 * 1000;

/* What the body says. The texts are borrowed from the call and the scratch. */
struct wanted {
    struct str user, purpose, resource;
    struct json_value claims; /* absent: none but the user */
    uint64_t ttl_ms;
};

static enum err check_text(const char *name, struct str text, struct error *error)
{
    if (text.len > TICKET_TEXT_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "%s: expected at most %d bytes", name, TICKET_TEXT_MAX);
    return ERR_NONE;
}

/* As much as a token has, since they are kept in its place. */
static enum err check_claims(const struct api *api, struct json_value claims, struct error *error)
{
    size_t most = api->config.ticket_claims_bytes;
    if (claims.type && claims.raw.len > most)
        return error_set(error, ERR_INVALID_REQUEST, "claims: expected at most %zu bytes (token.max_bytes)", most);
    return ERR_NONE;
}

static enum err read_ttl(struct json_value ttl, uint64_t *out_ms, struct error *error)
{
    if (!ttl.type)
        return ERR_NONE;
    if (json_scale(ttl, 3, out_ms) != JSON_SCALED_EXACT || *out_ms == 0 || *out_ms > ttl_max_ms)
        return error_set(error, ERR_INVALID_REQUEST, "ttl: expected seconds, more than 0 and at most a day");
    return ERR_NONE;
}

static enum err read_wanted(const struct api_request *request, struct wanted *out, struct error *error)
{
    struct json_value body, user, purpose = {0}, resource = {0}, ttl = {0};
    struct api *api = request->api;
    *out = (struct wanted){.purpose = STR(""), .resource = STR(""), .ttl_ms = api->config.ticket_ttl_ms};
    const struct json_field fields[] = {
        {"user", JSON_STRING, true, &user},        {"claims", JSON_OBJECT, false, &out->claims},
        {"purpose", JSON_STRING, false, &purpose}, {"resource", JSON_STRING, false, &resource},
        {"ttl", JSON_NUMBER, false, &ttl},
    };
    enum err err = api_read_body(request, &body, error);
    if (!err)
        err = json_bind_given(body, "", fields, sizeof fields / sizeof *fields, error);
    if (!err)
        err = api_text(api, "user", user, &out->user, error);
    if (!err)
        err = api_text(api, "purpose", purpose, &out->purpose, error);
    if (!err)
        err = api_text(api, "resource", resource, &out->resource, error);
    if (!err)
        err = check_text("purpose", out->purpose, error);
    if (!err)
        err = check_text("resource", out->resource, error);
    if (!err)
        err = check_claims(api, out->claims, error);
    return err ? err : read_ttl(ttl, &out->ttl_ms, error);
}

/* The claims as a token would have them: the user is sub, and without an iat they count as issued now. */
static enum err write_claims(const struct wanted *wanted, uint64_t now_ms, struct buf *out, struct error *error)
{
    struct str key;
    struct json_value value;
    struct claims *claims;
    struct error cause;
    buf_append_lit(out, "{\"sub\":");
    json_append_string(out, wanted->user);
    if (!wanted->claims.type || !json_member(wanted->claims, STR("iat")).type)
        buf_appendf(out, ",\"iat\":%llu", (unsigned long long)(now_ms / 1000));
    if (wanted->claims.type) {
        struct json_cursor at = json_walk(wanted->claims);
        if (json_member(wanted->claims, STR("sub")).type)
            return error_set(error, ERR_INVALID_REQUEST, "claims: sub is the user, so leave it out");
        while (json_next(&at, &key, &value)) {
            buf_append_lit(out, ",\"");
            buf_append(out, key);
            buf_append_lit(out, "\":");
            buf_append(out, value.raw);
        }
    }
    buf_append_char(out, '}');
    if (claims_parse(buf_str(out), &claims, &cause) != ERR_NONE)
        return error_set(error, ERR_INVALID_REQUEST, "claims: %s", cause.text);
    claims_unref(claims);
    return ERR_NONE;
}

/* The ticket itself waits for the broker beside the request. */
struct backend_ticket {
    struct api_request request;
    char ticket[TICKET_LEN + 1];
};

static void issued(struct request *base, void *owner)
{
    struct backend_ticket *issue = base->waiter;
    struct http_response *response = &issue->request.call->response;
    (void)owner;
    if (request_code(base)) {
        response->retry_after_s = base->retry_after_ms / 1000 + 1;
        api_respond_error(&issue->request, base->error);
    } else {
        metrics_add(issue->request.api->metrics, METRIC_TICKETS_ISSUED, 1);
        buf_appendf(&response->body, "{\"ticket\":\"%s\",\"expires_in\":%llu}", issue->ticket,
                    (unsigned long long)(ticket_request_of(base)->ttl_ms / 1000));
        api_respond(&issue->request, 200);
    }
    explicit_bzero(issue->ticket, sizeof issue->ticket);
    free(issue);
    request_destroy(base);
}

static void issue_ticket(const struct api_request *request, const struct wanted *wanted, struct str claims)
{
    const struct api *api = request->api;
    struct backend_ticket *issue = xcalloc(1, sizeof *issue);
    const struct ticket_facts facts = {.purpose = wanted->purpose,
                                       .resource = wanted->resource,
                                       .claims = claims,
                                       .resumes = api->config.tickets_resume};
    char key[TICKET_KEY_LEN + 1];
    issue->request = *request;
    ticket_make(issue->ticket);
    ticket_key(str_from(issue->ticket, TICKET_LEN), key);
    struct ticket_request *asked =
        ticket_request_create(TICKET_ISSUE, str_from(key, TICKET_KEY_LEN), &facts, STR(""), STR(""));
    asked->ttl_ms = wanted->ttl_ms;
    asked->max = api->config.tickets_max;
    asked->base.reply_to = api->replies;
    asked->base.done = issued;
    asked->base.waiter = issue;
    api->ops->ask(api->owner, &asked->base);
}

void api_tickets(const struct api_request *request)
{
    struct api *api = request->api;
    struct wanted wanted;
    struct buf claims = {0};
    struct error error;
    enum err err = read_wanted(request, &wanted, &error);
    if (!err)
        err = write_claims(&wanted, api->ops->wall_ms(api->owner), &claims, &error);
    if (err)
        api_respond_error(request, &error);
    else
        issue_ticket(request, &wanted, buf_str(&claims));
    buf_fini(&claims);
}
