/* dev_ready.c - see dev_ready.h. */
#include "server/cli/dev_ready.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/json/json.h"
#include "server/app/version.h"

static void append_text(struct buf *out, const char *name, struct str text)
{
    buf_appendf(out, "%s\"%s\":", out->ptr[out->len - 1] == '{' ? "" : ",", name);
    json_append_string(out, text);
}

static void append_users(struct buf *out, const struct dev_facts *facts)
{
    const struct endpoint_options *first = &facts->options->endpoints.items[0];
    buf_append_lit(out, ",\"users\":[");
    for (size_t i = 0; i < facts->user_count; i++) {
        const struct dev_user *user = &facts->users[i];
        struct buf url = {0};
        dev_facts_append_token_url(&url, facts, first, user);
        buf_append(out, i ? STR(",{") : STR("{"));
        append_text(out, "sub", str_from_cstr(user->name));
        append_text(out, "token", str_from_cstr(user->token));
        if (dev_facts_query(first))
            append_text(out, "url", buf_str(&url));
        else
            buf_append_lit(out, ",\"url\":null");
        buf_append_char(out, '}');
        buf_fini(&url);
    }
    buf_append_char(out, ']');
}

static const char *preset_name(const struct endpoint_options *endpoint)
{
    static const char *const names[] = {
        [ENDPOINT_NO_PRESET] = "none",
        [ENDPOINT_EVENTS] = "events",
        [ENDPOINT_REQUEST_RESPONSE] = "request-response",
        [ENDPOINT_TICKET_SOCKETS] = "ticket-sockets",
        [ENDPOINT_STREAMING] = "streaming",
    };
    return names[endpoint->preset];
}

/* Nothing without a text. */
static void append_first(struct buf *out, const char *name, const struct option_strings *texts)
{
    if (texts->count)
        append_text(out, name, str_from_cstr(texts->items[0]));
}

static void append_ticket(struct buf *out, const struct dev_facts *facts, const struct endpoint_options *endpoint)
{
    struct buf text = {0};
    append_first(out, "ticket_query", &endpoint->ticket_query);
    dev_facts_fill(&text, facts, endpoint->ticket_purpose);
    append_text(out, "purpose", buf_str(&text));
    buf_clear(&text);
    dev_facts_fill(&text, facts, endpoint->ticket_resource);
    append_text(out, "resource", buf_str(&text));
    buf_fini(&text);
}

static void append_endpoints(struct buf *out, const struct dev_facts *facts)
{
    buf_append_lit(out, ",\"endpoints\":[");
    for (size_t i = 0; i < facts->options->endpoints.count; i++) {
        const struct endpoint_options *endpoint = &facts->options->endpoints.items[i];
        struct buf url = {0};
        dev_facts_append_url(&url, facts, endpoint);
        buf_append(out, i ? STR(",{") : STR("{"));
        append_text(out, "path", str_from_cstr(endpoint->path));
        append_text(out, "preset", str_from_cstr(preset_name(endpoint)));
        append_text(out, "ws_url", buf_str(&url));
        append_first(out, "query", &endpoint->token_query);
        if (endpoint->token_subprotocol)
            append_first(out, "subprotocol", &endpoint->subprotocols);
        if (endpoint->ticket_query.count)
            append_ticket(out, facts, endpoint);
        buf_append_char(out, '}');
        buf_fini(&url);
    }
    buf_append_char(out, ']');
}

void dev_ready_append(struct buf *out, const struct dev_facts *facts)
{
    const struct options *options = facts->options;
    struct buf url = {0};
    buf_appendf(out, "{\"pid\":%ld", (long)getpid());
    append_text(out, "version", STR(CARILLON_VERSION));
    dev_facts_append_url(&url, facts, &options->endpoints.items[0]);
    append_text(out, "ws_url", buf_str(&url));
    buf_clear(&url);
    buf_appendf(&url, "http://%s", facts->addresses->internal);
    append_text(out, "api_url", buf_str(&url));
    append_text(out, "api_key", str_from_cstr(options->api_keys.items[0]));
    buf_append_char(&url, '/');
    append_text(out, "console_url", buf_str(&url));
    append_text(out, "token", str_from_cstr(facts->users[0].token));
    append_text(out, "token_secret", str_from_cstr(options->token_secret));
    append_users(out, facts);
    append_endpoints(out, facts);
    if (*options->tickets.path) {
        buf_clear(&url);
        buf_appendf(&url, "http%s://%s%s", dev_facts_tls(facts), facts->addresses->clients, options->tickets.path);
        append_text(out, "tickets_url", buf_str(&url));
    }
    buf_append_lit(out, "}\n");
    buf_fini(&url);
}

enum err dev_ready_write_file(const char *path, struct str text, struct error *error)
{
    struct buf draft = {0};
    buf_appendf(&draft, "%s.%ld", path, (long)getpid());
    unlink(buf_cstr(&draft)); /* of a process with the same number that died here */
    int fd = open(buf_cstr(&draft), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len;
    good = fd >= 0 && close(fd) == 0 && good && rename(buf_cstr(&draft), path) == 0;
    int why = errno;
    if (!good && fd >= 0)
        unlink(buf_cstr(&draft));
    buf_fini(&draft);
    return good ? ERR_NONE : error_set(error, ERR_UNAVAILABLE, "--ready-file %s: %s", path, strerror(why));
}
