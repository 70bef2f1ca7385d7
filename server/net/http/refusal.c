/* refusal.c - see refusal.h. */
#include "server/net/http/refusal.h"

#include "server/core/observer.h"
#include "server/net/admission/subprotocol.h"

enum { PATHS_MAX = 8 }; /* that a sentence names */

static void tell(struct hub *hub, const struct connection *connection, const struct http_head *head,
                 struct refusal *refusal, struct buf *sentence)
{
    char address[ADDRESS_TEXT_LEN + 1];
    refusal->address = str_from_cstr(address_text(&connection->client, address));
    refusal->path = head ? head->path : STR("");
    refusal->origin = STR("");
    if (head)
        http_head_find(head, STR("origin"), &refusal->origin);
    refusal->sentence = buf_str(sentence);
    hub_refused(hub, refusal);
    buf_fini(sentence);
}

static void append_paths(struct buf *out, const struct net_settings *settings)
{
    size_t named = 0;
    for (size_t i = 0; i < settings->endpoint_count && named < PATHS_MAX; i++)
        if (!settings->endpoints[i]->closed)
            buf_appendf(out, "%s%.*s", named++ ? ", " : "", STR_ARG(settings->endpoints[i]->base.path));
}

static void append_texts(struct buf *out, const struct texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        buf_appendf(out, "%s%.*s", i ? ", " : "", STR_ARG(texts->items[i]));
}

/* The token's fault in more words than its client gets. */
static bool is_about_token(enum reason reason)
{
    return reason == REASON_TOKEN_INVALID || reason == REASON_TOKEN_EXPIRED || reason == REASON_TOKEN_NOT_YET_VALID;
}

static void append_cause(struct buf *out, const struct admitter *admitter, const struct http_head *head,
                         const struct admission *admission, struct str told)
{
    char quoted[ERROR_QUOTE_LEN];
    struct str origin;
    buf_append(out, told);
    if (!admission->endpoint) {
        buf_appendf(out, ": %s is no endpoint; the endpoints are ", error_quote(head->path, quoted));
        append_paths(out, admitter->settings);
    } else if (is_about_token(admission->reason) && str_eq_cstr(told, reason_sentence(admission->reason))) {
        buf_appendf(out, ": %s", admitter->token_error.text);
    } else if (admission->reason == REASON_ORIGIN_DENIED && http_head_find(head, STR("origin"), &origin)) {
        buf_appendf(out, ": it is %s, and `origins` of the endpoint has ", error_quote(origin, quoted));
        append_texts(out, &admission->endpoint->origins);
    } else if (admission->reason == REASON_SCOPE_MISSING) {
        buf_append_lit(out, ": ");
        append_texts(out, &admission->endpoint->scopes);
    }
}

static bool offers_subprotocols(const struct http_head *head)
{
    struct http_list at = {0};
    struct str item;
    return subprotocol_next(head, &at, &item);
}

/* Only a close frame behind an accepted upgrade reaches a page. */
static bool is_hidden(const struct http_head *head, const struct admission *admission)
{
    struct str origin;
    if (!http_head_find(head, STR("origin"), &origin))
        return false;
    return admission->outcome == REFUSED_HTTP ||
           (offers_subprotocols(head) && subprotocol_of_refusal(admission->endpoint, head).len == 0);
}

void refusal_tell(struct hub *hub, const struct connection *connection, const struct http_head *head,
                  const struct admission *admission, struct str told)
{
    struct buf sentence = {0};
    if (!hub_has_refusal_observer(hub))
        return;
    append_cause(&sentence, connection->set->admitter, head, admission, told);
    if (is_hidden(head, admission))
        buf_append_lit(&sentence, " (the browser shows its page only code 1006)");
    struct refusal refusal = {.reason = admission->reason, .status = admission->status};
    if (admission->outcome == REFUSED_CLOSE) {
        refusal.status = 101;
        refusal.close_code = admission->close_code;
    }
    tell(hub, connection, head, &refusal, &sentence);
}

/* RFC 8446, 5.1: a record of a TLS handshake. */
static bool is_tls(struct str bytes)
{
    return bytes.len >= 2 && bytes.ptr[0] == 0x16 && bytes.ptr[1] == 0x03;
}

void refusal_tell_unreadable(struct hub *hub, const struct connection *connection, int status, const char *told)
{
    struct refusal refusal = {.status = status};
    struct buf sentence = {0};
    if (!hub_has_refusal_observer(hub))
        return;
    buf_append(&sentence, str_from_cstr(told));
    if (is_tls(buf_str(&connection->in)))
        buf_append_lit(&sentence, ": it is TLS, and this listener has no certificate; connect to ws:// in place of "
                                  "wss://");
    tell(hub, connection, NULL, &refusal, &sentence);
}

void refusal_tell_subprotocol(struct hub *hub, const struct connection *connection, const struct http_head *head,
                              const struct net_endpoint *endpoint)
{
    struct refusal refusal = {.status = 101};
    struct buf sentence = {0};
    struct http_list at = {0};
    struct str origin, item;
    char quoted[ERROR_QUOTE_LEN];
    if (!hub_has_refusal_observer(hub) || !http_head_find(head, STR("origin"), &origin) ||
        !subprotocol_next(head, &at, &item))
        return;
    buf_appendf(&sentence,
                "the browser will end this connection with code 1006: it has offered the subprotocol %s, and ",
                error_quote(item, quoted));
    if (endpoint->subprotocols.count) {
        buf_append_lit(&sentence, "`subprotocols` of the endpoint has ");
        append_texts(&sentence, &endpoint->subprotocols);
    } else {
        buf_append_lit(&sentence, "the endpoint has none");
    }
    tell(hub, connection, head, &refusal, &sentence);
}
