/* dev_lines.c - see dev_lines.h. */
#include "server/cli/dev_lines.h"

#include <stdio.h>
#include <unistd.h>

#include "server/cli/dev_tokens.h"

#define DEMO_CHANNEL "demo"

/* --- parts of lines -------------------------------------------------------------------------------------------- */

/* How this program was called, so that the lines below can be pasted in another terminal in the same folder. */
static const char *program(void)
{
    static char path[4096];
    char here[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len <= 0)
        return "carillon";
    path[len] = '\0';
    size_t here_len = getcwd(here, sizeof here) ? strlen(here) : 0;
    if (here_len > 1 && strncmp(path, here, here_len) == 0 && path[here_len] == '/') {
        path[here_len - 1] = '.'; /* "./build/release/carillon": a shell looks for a bare name elsewhere */
        return path + here_len - 1;
    }
    return path;
}

static void print_publish(const struct dev_facts *facts, const char *channel)
{
    printf("  curl -s http://%s/api/v1/publish -H 'X-API-Key: %s' -d "
           "'{\"channel\":\"%s\",\"type\":\"notification\",\"data\":{\"message\":\"Hello there!\"}}'\n\n",
           facts->addresses->internal, facts->options->api_keys.items[0], channel);
}

/* Of the first user, for the lines to paste. */
static const char *token_of(const struct dev_facts *facts)
{
    return facts->users[0].token;
}

/* The query parameter that carries the token. Without one the usual name stands for it. */
static const char *query_name(const struct endpoint_options *endpoint)
{
    const char *query = dev_facts_query(endpoint);
    return query ? query : "token";
}

/* Appends the arguments of a browser's WebSocket: the token comes beside a subprotocol, or else in the URL. */
static void append_arguments(struct buf *out, const struct dev_facts *facts, const struct endpoint_options *endpoint,
                             const char *url)
{
    if (endpoint->token_subprotocol && endpoint->subprotocols.count)
        buf_appendf(out, "\"%s\",[\"%s\",\"%s\"]", url, endpoint->subprotocols.items[0], token_of(facts));
    else
        buf_appendf(out, "\"%s?%s=%s\"", url, query_name(endpoint), token_of(facts));
}

/* --- what a client of each shape needs
 * -------------------------------------------------------------------------------- The first endpoint of a shape gets
 * all lines. Further ones get their address only. */

static void print_events(const struct dev_facts *facts, const struct endpoint_options *endpoint, const char *url,
                         bool first)
{
    for (size_t i = 0; i < facts->user_count; i++)
        printf("Connect (user \"%s\"):\n\n  %s?%s=%s\n\n", facts->users[i].name, url, query_name(endpoint),
               facts->users[i].token);
    if (!first)
        return;
    printf("Listen, in a second terminal:\n\n  %s listen --url %s --token %s " DEMO_CHANNEL "\n\n", program(), url,
           token_of(facts));
    printf("Publish, in a third one:\n\n");
    print_publish(facts, DEMO_CHANNEL);
}

static void print_requests(const struct dev_facts *facts, const struct endpoint_options *endpoint, const char *url,
                           bool first)
{
    struct buf arguments = {0};
    append_arguments(&arguments, facts, endpoint, url);
    printf("Requests with a correlation id:\n\n  URL           %s\n", url);
    if (endpoint->token_subprotocol && endpoint->subprotocols.count)
        printf("  Subprotocols  %s and the token (for another name: --subprotocol NAME)\n",
               endpoint->subprotocols.items[0]);
    if (endpoint->token_query.count)
        printf("  Or            %s?%s=<token>\n", url, query_name(endpoint));
    printf("\n");
    if (first)
        printf("Send a request, by Node 22 or later:\n\n"
               "  node -e 'let t;const s=new WebSocket(%s);"
               "s.onopen=()=>s.send(JSON.stringify({action:\"message\",headers:{correlationId:\"c-1\","
               "action:\"translate\"},payload:{request:{text:\"Hello\"}}}));"
               "s.onmessage=e=>{console.log(e.data);clearTimeout(t);t=setTimeout(()=>s.close(),2000)}'\n\n",
               buf_cstr(&arguments));
    buf_fini(&arguments);
}

/* The body of a request for a ticket of this endpoint. */
static void append_ticket_request(struct buf *out, const struct dev_facts *facts,
                                  const struct endpoint_options *endpoint)
{
    buf_append_lit(out, "{\"purpose\":\"");
    dev_facts_fill(out, facts, *endpoint->ticket_purpose ? endpoint->ticket_purpose : "notifications");
    buf_append_char(out, '"');
    if (*endpoint->ticket_resource) {
        buf_append_lit(out, ",\"resourceId\":\"");
        dev_facts_fill(out, facts, endpoint->ticket_resource);
        buf_append_char(out, '"');
    }
    buf_append_char(out, '}');
}

static void print_tickets(const struct dev_facts *facts, const struct endpoint_options *endpoint, const char *url,
                          bool first)
{
    const char *parameter = endpoint->ticket_query.count ? endpoint->ticket_query.items[0] : "ticket";
    struct buf desk = {0}, body = {0}, channel = {0};
    buf_appendf(&desk, "http%s://%s%s", dev_facts_tls(facts), facts->addresses->clients, facts->options->tickets.path);
    append_ticket_request(&body, facts, endpoint);
    dev_facts_fill(&channel, facts, endpoint->subscribe.count ? endpoint->subscribe.items[0] : DEMO_CHANNEL);
    printf("Sockets with tickets at %s:\n\n  URL      %s?%s=<ticket>\n", endpoint->path, url, parameter);
    printf("  Ticket   POST %s with Authorization: Bearer and the body %s\n  Channel  %s\n\n", buf_cstr(&desk),
           buf_cstr(&body), buf_cstr(&channel));
    if (first) {
        printf("Get a ticket:\n\n  curl -s %s -H 'Authorization: Bearer %s' -d '%s'\n\n", buf_cstr(&desk),
               token_of(facts), buf_cstr(&body));
        printf("Get a ticket and listen, by Node 22 or later:\n\n"
               "  node -e 'fetch(\"%s\",{method:\"POST\",headers:{Authorization:\"Bearer %s\"},"
               "body:JSON.stringify(%s)}).then(r=>r.json()).then(a=>{const s=new WebSocket(\"%s?%s=\"+a.ticket);"
               "s.onmessage=e=>console.log(e.data)})'\n\n",
               buf_cstr(&desk), token_of(facts), buf_cstr(&body), url, parameter);
        printf("Publish to the channel:\n\n");
        print_publish(facts, buf_cstr(&channel));
    }
    buf_fini(&desk);
    buf_fini(&body);
    buf_fini(&channel);
}

static void print_streaming(const struct dev_facts *facts, const struct endpoint_options *endpoint, const char *url,
                            bool first)
{
    const char *query = query_name(endpoint);
    printf("Streams of binary messages:\n\n  URL    %s\n  Token  as Authorization: Bearer, or %s?%s=<token>\n\n", url,
           url, query);
    if (first)
        printf("Send half a second of audio, by Node 22 or later:\n\n"
               "  node -e 'const s=new WebSocket(\"%s?%s=%s\");s.onmessage=e=>console.log(e.data);"
               "s.onopen=()=>{for(let i=0;i<25;i++)s.send(new Uint8Array(640))};setTimeout(()=>s.close(),1000)'\n\n",
               url, query, token_of(facts));
}

typedef void print_endpoint(const struct dev_facts *, const struct endpoint_options *, const char *url, bool first);

static print_endpoint *const printers[] = {
    [ENDPOINT_NO_PRESET] = print_events,          [ENDPOINT_EVENTS] = print_events,
    [ENDPOINT_REQUEST_RESPONSE] = print_requests, [ENDPOINT_TICKET_SOCKETS] = print_tickets,
    [ENDPOINT_STREAMING] = print_streaming,
};

static void print_tokens(const struct dev_facts *facts)
{
    for (size_t i = 0; i < facts->user_count; i++)
        printf("Token of the user \"%s\", for %d days:\n\n  %s\n\n", facts->users[i].name, DEMO_TOKEN_DAYS,
               facts->users[i].token);
    printf("A token for another user:\n\n"
           "  curl -s http://%s/dev/v1/tokens -d '{\"sub\":\"ada\",\"expires\":\"1h\"}'\n\n",
           facts->addresses->internal);
}

void dev_lines_print(const struct dev_facts *facts)
{
    const struct options *options = facts->options;
    printf("\nCarillon for development: events in %s, everything allowed to the demo token. Stop with Ctrl-C.\n\n",
           *options->redis_url ? "Redis" : "memory");
    if (options->endpoints.items[0].preset != ENDPOINT_NO_PRESET)
        print_tokens(facts);
    for (size_t i = 0; i < options->endpoints.count; i++) {
        const struct endpoint_options *endpoint = &options->endpoints.items[i];
        print_endpoint *print = printers[endpoint->preset];
        struct buf url = {0};
        dev_facts_append_url(&url, facts, endpoint);
        /* Endpoints of a shape stand together. */
        print(facts, endpoint, buf_cstr(&url), i == 0 || print != printers[endpoint[-1].preset]);
        buf_fini(&url);
    }
    fflush(stdout);
}
