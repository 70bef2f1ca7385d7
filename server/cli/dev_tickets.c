/* dev_tickets.c - see dev_tickets.h. */
#include "server/cli/dev_tickets.h"

#include <ctype.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/token/claims.h"
#include "server/cli/dev_facts.h"
#include "server/core/hub.h"
#include "server/core/ticket.h"
#include "server/dev/dev_route.h"
#include "server/dev/dev_server.h"

static const uint64_t ttl_max_ms = UINT64_C(24) * 60 * 60 * 1000;

/* One that is on its way. */
struct dev_issue {
    struct http_call *call;
    char ticket[TICKET_LEN + 1];
    struct buf url; /* the ticket goes behind it */
};

static void issued(struct request *base, void *owner)
{
    struct dev_issue *issue = base->waiter;
    struct http_call *call = issue->call;
    (void)owner;
    if (request_code(base)) {
        dev_refuse(call, err_http_status(request_code(base)), base->error);
    } else {
        buf_appendf(&call->response.body, "{\"ticket\":\"%s\",\"ws_url\":", issue->ticket);
        buf_append(&issue->url, str_from_cstr(issue->ticket));
        json_append_string(&call->response.body, buf_str(&issue->url));
        buf_appendf(&call->response.body, ",\"expires_in\":%llu}",
                    (unsigned long long)(ticket_request_of(base)->ttl_ms / 1000));
        dev_answer(call);
    }
    buf_fini(&issue->url);
    free(issue);
    request_destroy(base);
}

/* The first endpoint that takes such tickets, or else the first one that takes any. NULL: none does. */
static const struct endpoint_options *find(const struct dev_facts *facts, struct str purpose)
{
    const struct endpoint_options *first = NULL;
    for (size_t i = 0; i < facts->options->endpoints.count; i++) {
        const struct endpoint_options *endpoint = &facts->options->endpoints.items[i];
        struct buf wanted = {0};
        if (endpoint->ticket_query.count == 0)
            continue;
        dev_facts_fill(&wanted, facts, endpoint->ticket_purpose);
        bool fits = !purpose.ptr || wanted.len == 0 || str_eq(purpose, buf_str(&wanted));
        buf_fini(&wanted);
        if (fits)
            return endpoint;
        if (!first)
            first = endpoint;
    }
    return first;
}

static void append_escaped(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        bool plain = byte < 128 && (isalnum(byte) || strchr("-._~", byte));
        buf_appendf(out, plain ? "%c" : "%%%02X", byte);
    }
}

/* Where the ticket's resource is a name in the path, such as {thread}, the path gets that resource. */
static void append_path(struct buf *out, const struct endpoint_options *endpoint, struct str resource)
{
    const char *name = endpoint->ticket_resource, *place = *name == '{' ? strstr(endpoint->path, name) : NULL;
    if (!place || !resource.ptr) {
        buf_append(out, str_from_cstr(endpoint->path));
        return;
    }
    buf_append(out, str_from(endpoint->path, (size_t)(place - endpoint->path)));
    append_escaped(out, resource);
    buf_append(out, str_from_cstr(place + strlen(name)));
}

static void append_url(struct buf *out, const struct dev_facts *facts, const struct endpoint_options *endpoint,
                       struct str resource)
{
    struct buf path = {0};
    append_path(&path, endpoint, resource);
    buf_appendf(out, "ws%s://%s", dev_facts_tls(facts), facts->addresses->clients);
    dev_facts_fill(out, facts, buf_cstr(&path));
    buf_appendf(out, "?%s=", endpoint->ticket_query.items[0]);
    buf_fini(&path);
}

static enum err check(const struct dev_ticket *ticket, struct error *error)
{
    struct claims *claims;
    struct error cause;
    if (ticket->purpose.len > TICKET_TEXT_MAX || ticket->resource.len > TICKET_TEXT_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "%s: expected at most %d bytes",
                         ticket->purpose.len > TICKET_TEXT_MAX ? "purpose" : "resource", TICKET_TEXT_MAX);
    if (ticket->ttl_ms > ttl_max_ms)
        return error_set(error, ERR_INVALID_REQUEST, "expires: a ticket waits for its use for a day at most");
    if (claims_parse(ticket->claims, &claims, &cause) != ERR_NONE)
        return error_set(error, ERR_INVALID_REQUEST, "claims: %s", cause.text);
    claims_unref(claims);
    return ERR_NONE;
}

static void ask(struct hub *hub, struct dev_issue *issue, const struct dev_ticket *ticket,
                const struct tickets_options *options, const struct ticket_facts *facts)
{
    char key[TICKET_KEY_LEN + 1];
    ticket_make(issue->ticket);
    ticket_key(str_from(issue->ticket, TICKET_LEN), key);
    struct ticket_request *request =
        ticket_request_create(TICKET_ISSUE, str_from(key, TICKET_KEY_LEN), facts, STR(""), STR(""));
    request->ttl_ms = ticket->ttl_ms ? ticket->ttl_ms : options->ttl_ms;
    request->max = options->max;
    request->base.done = issued;
    request->base.waiter = issue;
    hub_ask(hub, &request->base);
}

void dev_tickets_issue(struct dev *dev, const struct server_addresses *addresses, struct http_call *call,
                       const struct dev_ticket *ticket)
{
    const struct server_parts *parts = dev_parts(dev);
    struct buf sub = {0}, purpose = {0}, resource = {0};
    struct error error;
    buf_append(&sub, ticket->sub);
    const struct dev_user user = {.name = buf_cstr(&sub)};
    const struct dev_facts facts = {.addresses = addresses, .options = parts->options, .users = &user, .user_count = 1};
    const struct endpoint_options *endpoint = find(&facts, ticket->purpose);
    if (!endpoint) {
        error_set(&error, ERR_CONFLICT,
                  "no endpoint takes tickets: give one `ticket_query`, or start carillon dev --preset ticket-sockets");
        dev_refuse(call, 409, &error);
    } else if (check(ticket, &error)) {
        dev_refuse(call, 400, &error);
    } else {
        struct dev_issue *issue = xcalloc(1, sizeof *issue);
        issue->call = call;
        append_url(&issue->url, &facts, endpoint, ticket->resource);
        dev_facts_fill(&purpose, &facts, endpoint->ticket_purpose);
        dev_facts_fill(&resource, &facts, endpoint->ticket_resource);
        ask(parts->hub, issue, ticket, &parts->options->tickets,
            &(struct ticket_facts){.purpose = ticket->purpose.ptr ? ticket->purpose : buf_str(&purpose),
                                   .resource = ticket->resource.ptr ? ticket->resource : buf_str(&resource),
                                   .claims = ticket->claims,
                                   .resumes = parts->options->tickets.use == TICKETS_RESUME});
    }
    buf_fini(&sub);
    buf_fini(&purpose);
    buf_fini(&resource);
}
