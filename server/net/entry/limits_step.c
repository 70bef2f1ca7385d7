/* limits_step.c - see limits_step.h. */
#include "server/net/entry/limits_step.h"

/* One place under this limit. */
static enum entry_verdict take_place(struct entry *entry, enum quota_kind kind, struct str key, size_t max,
                                     enum reason *out_reason)
{
    if (lease_take(entry->lease, entry->admitter->quota, kind, key, max))
        return ENTRY_PASSES;
    struct error error;
    admission_explain_limit(kind, max, &error);
    entry_explain(entry, error.text);
    *out_reason = REASON_CONNECTION_LIMIT;
    return ENTRY_IS_REFUSED;
}

static enum entry_verdict take_places(struct entry *entry, enum reason *out_reason)
{
    const struct net_settings *settings = entry->admitter->settings;
    const struct net_endpoint *endpoint = entry->admission.endpoint;
    const struct address *client = &entry->admission.client;
    char key[ADDRESS_KEY_LEN + 1];
    enum entry_verdict verdict = take_place(entry, QUOTA_SESSIONS, STR(""), settings->max_connections, out_reason);
    if (!verdict && !cidr_contains(settings->trusted_proxies, settings->trusted_proxy_count, client))
        verdict = take_place(entry, QUOTA_OF_ADDRESS, str_from_cstr(address_key(client, key)),
                             net_settings_max_of(settings, client), out_reason);
    return verdict ? verdict
                   : take_place(entry, QUOTA_OF_ENDPOINT, endpoint->base.path, endpoint->max_connections, out_reason);
}

static enum entry_verdict begin_limits(void *owner, struct entry *entry, const struct http_head *head,
                                       enum reason *out_reason)
{
    (void)owner;
    (void)head;
    enum entry_verdict verdict = take_places(entry, out_reason);
    if (verdict == ENTRY_IS_REFUSED)
        lease_release(entry->lease, entry->admitter->quota);
    return verdict;
}

const struct entry_step limits_step = {.begin = begin_limits};

static enum entry_verdict begin_user_limit(void *owner, struct entry *entry, const struct http_head *head,
                                           enum reason *out_reason)
{
    const struct claims *claims = entry->admission.claims;
    if (!claims) { /* no step has taken the ticket */
        *out_reason = REASON_TOKEN_INVALID;
        return ENTRY_IS_REFUSED;
    }
    (void)owner;
    (void)head;
    if (!claims->session_limit)
        return take_place(entry, QUOTA_OF_USER, claims->sub, entry->admitter->settings->max_per_user, out_reason);
    if (lease_take(entry->lease, entry->admitter->quota, QUOTA_OF_USER, claims->sub, (size_t)claims->session_limit))
        return ENTRY_PASSES;
    entry_explain_session_limit(entry);
    *out_reason = REASON_CONNECTION_LIMIT;
    return ENTRY_IS_REFUSED;
}

const struct entry_step user_limit_step = {.begin = begin_user_limit};
