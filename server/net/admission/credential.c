/* credential.c - see credential.h. */
#include "server/net/admission/credential.h"

#include "server/net/admission/subprotocol.h"

static void found(struct credential *credential, struct str value)
{
    if (value.len == 0)
        return;
    if (!credential->value.ptr)
        credential->value = value;
    else if (!str_eq(credential->value, value))
        credential->conflict = true;
}

static void search_header(const struct http_head *head, struct credential *credential)
{
    struct str value;
    if (!http_head_find(head, STR("authorization"), &value))
        return;
    struct str rest = value;
    struct str scheme = str_split(&rest, ' ');
    if (rest.ptr && str_eq_nocase(scheme, STR("bearer")))
        found(credential, str_trim(rest));
}

/* Where one of the endpoint's subprotocols is offered, whatever else is offered is a token. The exception are names of
 * ours, which may be of later versions. */
static void search_subprotocols(const struct http_head *head, const struct net_endpoint *endpoint,
                                struct credential *credential)
{
    struct http_list at = {0};
    struct str item;
    if (subprotocol_select(endpoint, head).len == 0)
        return;
    while (subprotocol_next(head, &at, &item))
        if (!subprotocol_is_known(endpoint, item) && !str_starts_with(item, STR("carillon.")))
            found(credential, item);
}

static enum err search_query(const struct http_head *head, const struct texts *names, struct credential *credential,
                             struct error *error)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; i < names->count && head->query.len > 0 && !err; i++) {
        struct buf decoded = {0};
        struct str value = {NULL, 0};
        err = http_query_get(head->query, names->items[i], &decoded, &value, error);
        if (!err && value.len > 0 && !credential->value.ptr) {
            credential->decoded = decoded;
            decoded = (struct buf){0};
        }
        if (!err)
            found(credential, value);
        buf_wipe(&decoded);
    }
    return err;
}

enum err credential_find(const struct net_endpoint *endpoint, const struct http_head *head, struct credential_set *out,
                         struct error *error)
{
    *out = (struct credential_set){0};
    if (endpoint->carriers & CARRIER_HEADER)
        search_header(head, &out->token);
    if (endpoint->carriers & CARRIER_SUBPROTOCOL)
        search_subprotocols(head, endpoint, &out->token);
    if ((endpoint->carriers & CARRIER_QUERY) && search_query(head, &endpoint->query_names, &out->token, error))
        return error->code;
    if (search_query(head, &endpoint->ticket_names, &out->ticket, error))
        return error->code;
    if (out->token.conflict)
        return error_set(error, ERR_INVALID_REQUEST, "the request carries two different tokens: send one");
    if (out->ticket.conflict)
        return error_set(error, ERR_INVALID_REQUEST, "the request carries two different tickets: send one");
    if (out->token.value.ptr && out->ticket.value.ptr)
        return error_set(error, ERR_INVALID_REQUEST, "the request carries a token and a ticket: send one");
    return ERR_NONE;
}

void credential_set_fini(struct credential_set *credentials)
{
    buf_wipe(&credentials->token.decoded);
    buf_wipe(&credentials->ticket.decoded);
}
