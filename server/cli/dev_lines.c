/* dev_lines.c - see dev_lines.h. */
#include "server/cli/dev_lines.h"

#include <stdio.h>
#include <unistd.h>

#include "server/cli/dev_tokens.h"

#define DEMO_CHANNEL "demo"

/* What all lines are made of. */
struct lines {
    const struct server_addresses *addresses;
    const struct options *options;
    const char *token;
    const char *tls; /* "s" in wss:// and https://, or "" */
};

/* --- parts of lines -------------------------------------------------------------------------------------------------
 */

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

/* Appends the text with each {name} filled in for the demo user: a path, a channel, a resource. */
static void fill_names(struct buf *out, const char *text)
{
    for (; *text; text++) {
        const char *end = *text == '{' ? strchr(text, '}') : NULL;
        if (!end) {
            buf_append_char(out, *text);
            continue;
        }
        buf_append_lit(out, DEMO_USER);
        text = end;
    }
}

/* ws://address/path of the endpoint. */
static void append_url(struct buf *out, const struct lines *lines, const struct endpoint_options *endpoint)
{
    buf_appendf(out, "ws%s://%s", lines->tls, lines->addresses->clients);
    fill_names(out, endpoint->path);
}

static void print_publish(const struct lines *lines, const char *channel)
{
    printf("  curl -s http://%s/api/v1/publish -H 'X-API-Key: %s' -d "
           "'{\"channel\":\"%s\",\"type\":\"notification\",\"data\":{\"message\":\"Hello there!\"}}'\n\n",
           lines->addresses->internal, lines->options->api_keys.items[0], channel);
}

/* The query parameter that carries the token. Without one the usual name stands for it. */
static const char *query_name(const struct endpoint_options *endpoint)
{
    return endpoint->token_query.count ? endpoint->token_query.items[0] : "token";
}

/* Appends the arguments of a browser's WebSocket: the token comes beside a subprotocol, or else in the URL. */
static void append_arguments(struct buf *out, const struct lines *lines, const struct endpoint_options *endpoint,
                             const char *url)
{
    if (endpoint->token_subprotocol && endpoint->subprotocols.count)
        buf_appendf(out, "\"%s\",[\"%s\",\"%s\"]", url, endpoint->subprotocols.items[0], lines->token);
    else
        buf_appendf(out, "\"%s?%s=%s\"", url, query_name(endpoint), lines->token);
}

/* --- what a client of each shape needs
 * -------------------------------------------------------------------------------- The first endpoint of a shape gets
 * all lines. Further ones get their address only. */

static void print_events(const struct lines *lines, const struct endpoint_options *endpoint, const char *url,
                         bool first)
{
    const char *query = query_name(endpoint);
    printf("Connect (user \"" DEMO_USER "\"):\n\n  %s?%s=%s\n\n", url, query, lines->token);
    if (!first)
        return;
    printf("Listen, in a second terminal:\n\n  %s listen --url %s --token %s " DEMO_CHANNEL "\n\n", program(), url,
           lines->token);
    printf("Publish, in a third one:\n\n");
    print_publish(lines, DEMO_CHANNEL);
}

static void print_requests(const struct lines *lines, const struct endpoint_options *endpoint, const char *url,
                           bool first)
{
    struct buf arguments = {0};
    append_arguments(&arguments, lines, endpoint, url);
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
static void append_ticket_request(struct buf *out, const struct endpoint_options *endpoint)
{
    buf_append_lit(out, "{\"purpose\":\"");
    fill_names(out, *endpoint->ticket_purpose ? endpoint->ticket_purpose : "notifications");
    buf_append_char(out, '"');
    if (*endpoint->ticket_resource) {
        buf_append_lit(out, ",\"resourceId\":\"");
        fill_names(out, endpoint->ticket_resource);
        buf_append_char(out, '"');
    }
    buf_append_char(out, '}');
}

static void print_tickets(const struct lines *lines, const struct endpoint_options *endpoint, const char *url,
                          bool first)
{
    const char *parameter = endpoint->ticket_query.count ? endpoint->ticket_query.items[0] : "ticket";
    struct buf desk = {0}, body = {0}, channel = {0};
    buf_appendf(&desk, "http%s://%s%s", lines->tls, lines->addresses->clients, lines->options->tickets.path);
    append_ticket_request(&body, endpoint);
    fill_names(&channel, endpoint->subscribe.count ? endpoint->subscribe.items[0] : DEMO_CHANNEL);
    printf("Sockets with tickets at %s:\n\n  URL      %s?%s=<ticket>\n", endpoint->path, url, parameter);
    printf("  Ticket   POST %s with Authorization: Bearer and the body %s\n  Channel  %s\n\n", buf_cstr(&desk),
           buf_cstr(&body), buf_cstr(&channel));
    if (first) {
        printf("Get a ticket:\n\n  curl -s %s -H 'Authorization: Bearer %s' -d '%s'\n\n", buf_cstr(&desk), lines->token,
               buf_cstr(&body));
        printf("Get a ticket and listen, by Node 22 or later:\n\n"
               "  node -e 'fetch(\"%s\",{method:\"POST\",headers:{Authorization:\"Bearer %s\"},"
               "body:JSON.stringify(%s)}).then(r=>r.json()).then(a=>{const s=new WebSocket(\"%s?%s=\"+a.ticket);"
               "s.onmessage=e=>console.log(e.data)})'\n\n",
               buf_cstr(&desk), lines->token, buf_cstr(&body), url, parameter);
        printf("Publish to the channel:\n\n");
        print_publish(lines, buf_cstr(&channel));
    }
    buf_fini(&desk);
    buf_fini(&body);
    buf_fini(&channel);
}

static void print_streaming(const struct lines *lines, const struct endpoint_options *endpoint, const char *url,
                            bool first)
{
    const char *query = query_name(endpoint);
    printf("Streams of binary messages:\n\n  URL    %s\n  Token  as Authorization: Bearer, or %s?%s=<token>\n\n", url,
           url, query);
    if (first)
        printf("Send half a second of audio, by Node 22 or later:\n\n"
               "  node -e 'const s=new WebSocket(\"%s?%s=%s\");s.onmessage=e=>console.log(e.data);"
               "s.onopen=()=>{for(let i=0;i<25;i++)s.send(new Uint8Array(640))};setTimeout(()=>s.close(),1000)'\n\n",
               url, query, lines->token);
}

typedef void print_endpoint(const struct lines *, const struct endpoint_options *, const char *url, bool first);

static print_endpoint *const printers[] = {
    [ENDPOINT_NO_PRESET] = print_events,          [ENDPOINT_EVENTS] = print_events,
    [ENDPOINT_REQUEST_RESPONSE] = print_requests, [ENDPOINT_TICKET_SOCKETS] = print_tickets,
    [ENDPOINT_STREAMING] = print_streaming,
};

void dev_lines_print(const struct server_addresses *addresses, const struct options *options, struct str token)
{
    const struct lines lines = {
        .addresses = addresses, .options = options, .token = token.ptr, .tls = *options->tls_certificate ? "s" : ""};
    print_endpoint *seen = NULL; /* endpoints of a shape stand together */
    printf("\nCarillon for development: events in memory, everything allowed to the demo token. Stop with Ctrl-C.\n\n");
    if (options->endpoints.items[0].preset != ENDPOINT_NO_PRESET)
        printf("Token of the user \"" DEMO_USER "\", for %d days:\n\n  %s\n\nA token for another user:\n\n"
               "  curl -s http://%s/dev/v1/tokens -d '{\"sub\":\"ada\",\"expires\":\"1h\"}'\n\n",
               DEMO_TOKEN_DAYS, lines.token, addresses->internal);
    for (size_t i = 0; i < options->endpoints.count; i++) {
        const struct endpoint_options *endpoint = &options->endpoints.items[i];
        print_endpoint *print = printers[endpoint->preset];
        struct buf url = {0};
        append_url(&url, &lines, endpoint);
        print(&lines, endpoint, buf_cstr(&url), print != seen);
        seen = print;
        buf_fini(&url);
    }
    fflush(stdout);
}
