/* fuzz_upgrade.c - upgrades as strangers ask for them, at an endpoint that uses all parts of the request: names in the
 * path, subprotocols, tokens and tickets, query parameters and headers. Nothing of it is larger than the request, and
 * the origin has no credential. */
#include <stdlib.h>

#include "server/dialect/carillon.h"
#include "server/net/admission/credential.h"
#include "server/net/admission/origin.h"
#include "server/net/admission/subprotocol.h"
#include "server/net/ws/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void add(struct texts *texts, const char *words)
{
    struct str rest = str_from_cstr(words);
    while (rest.ptr)
        texts_add(texts, str_split(&rest, ' '));
}

static struct net_settings *make_settings(void)
{
    struct net_settings *settings = net_settings_create();
    struct net_endpoint *endpoint =
        net_settings_add_endpoint(settings, STR("/c/{id}/{part}"), &ws_transport, &carillon_dialect);
    add(&endpoint->subprotocols, "app-v1 app-v2");
    add(&endpoint->query_names, "Authorization");
    add(&endpoint->ticket_names, "ticket");
    add(&endpoint->query, "token trace ticket page");
    add(&endpoint->headers, "traceparent x-device");
    return settings;
}

static void check_values(const struct origin_values *values, size_t count_max, size_t len)
{
    require(values->count <= count_max);
    for (size_t i = 0; i < values->count; i++)
        require(values->items[i].value.len <= 2 * len);
}

static void check_origin(const struct net_endpoint *endpoint, const struct http_head *head, size_t len)
{
    static const struct address client;
    struct session_origin *origin;
    struct error error;
    struct str value;
    if (origin_make(endpoint, head, &client, &origin, &error)) {
        require(error.text[0] != '\0');
        return;
    }
    require(origin->names.count == 2 && origin->offered_count <= endpoint->subprotocols.count);
    check_values(&origin->query, 2, len);
    check_values(&origin->headers, 2, len);
    require(!origin_values_find(&origin->query, STR("token"), &value));
    require(!origin_values_find(&origin->query, STR("ticket"), &value));
    session_origin_unref(origin);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct net_settings *settings;
    struct http_head head;
    struct error error;
    size_t scanned = 0;
    if (!settings)
        settings = make_settings();
    if (http_head_parse(str_from((const char *)bytes, len), 65536, &scanned, &head, NULL) != HTTP_HEAD_DONE)
        return 0;
    const struct net_endpoint *endpoint = net_settings_find_endpoint(settings, head.path);
    if (!endpoint)
        return 0;
    struct credential_set found;
    struct str selected = subprotocol_select(endpoint, &head), of_refusal = subprotocol_of_refusal(endpoint, &head);
    require(selected.len == 0 || (subprotocol_is_known(endpoint, selected) && str_eq(selected, of_refusal)));
    for (size_t i = 0; i < of_refusal.len; i++)
        require(http_is_token_char(of_refusal.ptr[i]));
    if (credential_find(endpoint, &head, &found, &error) == ERR_NONE) {
        require(!found.token.value.ptr || !found.ticket.value.ptr);
        require(found.token.value.len <= len && found.ticket.value.len <= len);
    }
    credential_set_fini(&found);
    check_origin(endpoint, &head, len);
    return 0;
}
