/* subprotocol.c - see subprotocol.h. */
#include "server/net/admission/subprotocol.h"

bool subprotocol_next(const struct http_head *head, struct http_list *at, struct str *out_item)
{
    return http_fields_next(&head->fields, STR("sec-websocket-protocol"), at, out_item);
}

bool subprotocol_is_known(const struct net_endpoint *endpoint, struct str item)
{
    for (size_t i = 0; i < endpoint->subprotocols.count; i++)
        if (str_eq_nocase(endpoint->subprotocols.items[i], item))
            return true;
    return false;
}

struct str subprotocol_select(const struct net_endpoint *endpoint, const struct http_head *head)
{
    struct http_list at = {0};
    struct str item;
    while (subprotocol_next(head, &at, &item))
        if (subprotocol_is_known(endpoint, item))
            return item;
    return STR("");
}

/* A JSON Web Token begins with {" in base64url, and has three parts. */
static bool looks_like_token(struct str item)
{
    size_t dots = 0;
    for (size_t i = 0; i < item.len; i++)
        dots += item.ptr[i] == '.';
    return dots == 2 && str_starts_with(item, STR("eyJ"));
}

static bool is_name(struct str item)
{
    for (size_t i = 0; i < item.len; i++)
        if (!http_is_token_char(item.ptr[i]))
            return false;
    return true;
}

struct str subprotocol_of_refusal(const struct net_endpoint *endpoint, const struct http_head *head)
{
    struct http_list at = {0};
    struct str item = subprotocol_select(endpoint, head);
    if (item.len > 0)
        return item;
    while (subprotocol_next(head, &at, &item))
        if (is_name(item) && !looks_like_token(item))
            return item;
    return STR("");
}
