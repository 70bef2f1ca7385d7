/* limits.c - see limits.h. */
#include "server/net/admission/limits.h"

static bool take_places(const struct admitter *admitter, const struct admission *admission, struct lease *lease)
{
    struct quota *quota = admitter->quota;
    const struct net_settings *settings = admitter->settings;
    const struct address *client = &admission->client;
    char key[ADDRESS_KEY_LEN + 1];
    const struct claims *claims = admission->claims;
    bool is_proxy = cidr_contains(settings->trusted_proxies, settings->trusted_proxy_count, client);
    size_t of_user = claims->session_limit ? (size_t)claims->session_limit : settings->max_per_user;
    return lease_take(lease, quota, "all", STR(""), settings->max_connections) &&
           (is_proxy || lease_take(lease, quota, "address", str_from_cstr(address_key(client, key)),
                                   net_settings_max_of(settings, client))) &&
           lease_take(lease, quota, "endpoint", admission->endpoint->path, admission->endpoint->max_connections) &&
           lease_take(lease, quota, "user", claims->sub, of_user);
}

static enum entry_verdict begin(void *owner, struct entry *entry, const struct http_head *head, enum reason *out_reason)
{
    (void)owner;
    (void)head;
    if (take_places(entry->admitter, &entry->admission, entry->lease))
        return ENTRY_PASSES;
    lease_release(entry->lease, entry->admitter->quota);
    *out_reason = REASON_CONNECTION_LIMIT;
    return ENTRY_IS_REFUSED;
}

const struct entry_step limits_step = {.begin = begin};
