/* settings.c - see settings.h. */
#include "server/net/admission/settings.h"

#include "common/base/alloc.h"
#include "common/protocol/path_pattern.h"
#include "server/net/admission/ticket_settings.h"

static struct str copy_text(struct str text)
{
    return str_from(str_dup(text), text.len);
}

static void free_text(struct str text)
{
    free((void *)(uintptr_t)text.ptr); /* ours, although a str never owns */
}

static void free_texts(const struct str *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free_text(items[i]);
    free((void *)(uintptr_t)items);
}

struct net_settings *net_settings_create(void)
{
    struct net_settings *settings = xcalloc(1, sizeof *settings);
    atomic_init(&settings->refs, 1);
    settings->policy = token_policy_default();
    return settings;
}

struct net_settings *net_settings_ref(struct net_settings *settings)
{
    atomic_fetch_add_explicit(&settings->refs, 1, memory_order_relaxed);
    return settings;
}

void net_settings_unref(struct net_settings *settings)
{
    if (!settings || atomic_fetch_sub_explicit(&settings->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < settings->endpoint_count; i++)
        endpoint_unref(&settings->endpoints[i]->base);
    free(settings->endpoints);
    free_texts(settings->policy.issuers, settings->policy.issuer_count);
    free_texts(settings->policy.audiences, settings->policy.audience_count);
    free(settings->trusted_proxies);
    tls_identity_unref(settings->tls);
    ticket_settings_destroy(settings->tickets);
    free(settings);
}

/* By the path as it is configured. */
static struct net_endpoint *find(const struct net_settings *settings, struct str path)
{
    for (size_t i = 0; i < settings->endpoint_count; i++)
        if (str_eq(settings->endpoints[i]->base.path, path))
            return settings->endpoints[i];
    return NULL;
}

struct net_endpoint *net_settings_find_endpoint(const struct net_settings *settings, struct str path)
{
    struct net_endpoint *fitting = NULL;
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        struct net_endpoint *endpoint = settings->endpoints[i];
        if (endpoint->closed)
            continue;
        if (!endpoint->has_names && str_eq(endpoint->base.path, path))
            return endpoint;
        if (endpoint->has_names && !fitting && path_pattern_fits(endpoint->base.path, path))
            fitting = endpoint;
    }
    return fitting;
}

struct net_endpoint *net_settings_same_endpoint(const struct net_settings *settings,
                                                const struct net_endpoint *endpoint)
{
    struct net_endpoint *same = find(settings, endpoint->base.path);
    return same && !same->closed ? same : NULL;
}

struct net_endpoint *net_settings_successor(const struct net_settings *settings, const struct net_endpoint *endpoint)
{
    return find(settings, endpoint->base.path);
}

size_t net_settings_pending(const struct net_settings *settings, bool internal)
{
    bool fewer = internal && settings->max_internal < settings->max_pending;
    return fewer ? settings->max_internal : settings->max_pending;
}

size_t net_settings_sockets(const struct net_settings *settings, bool internal)
{
    enum { ON_THEIR_WAY_MAX = 64 };
    size_t places = internal ? settings->max_internal : settings->max_connections;
    size_t pending = net_settings_pending(settings, internal);
    size_t on_their_way = 1 + pending / 8;
    return places + pending + (on_their_way < ON_THEIR_WAY_MAX ? on_their_way : ON_THEIR_WAY_MAX);
}

size_t net_settings_max_of(const struct net_settings *settings, const struct address *client)
{
    if (settings->max_per_address)
        return settings->max_per_address;
    return address_is_private(client) ? 0 : (settings->max_connections + 1) / 2;
}

static void destroy_endpoint(struct endpoint *base)
{
    struct net_endpoint *endpoint = net_endpoint_of(base);
    free_text(endpoint->base.path);
    free_text(endpoint->ticket_purpose);
    free_text(endpoint->ticket_resource);
    struct texts *lists[] = {&endpoint->subprotocols, &endpoint->query_names, &endpoint->ticket_names,
                             &endpoint->origins,      &endpoint->claims,      &endpoint->scopes,
                             &endpoint->query,        &endpoint->headers,     &endpoint->subscribe};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        texts_clear(lists[i]);
    free(endpoint);
}

struct net_endpoint *net_settings_add_endpoint(struct net_settings *settings, struct str path,
                                               const struct net_transport *transport, const struct dialect *dialect)
{
    struct net_endpoint *endpoint = xcalloc(1, sizeof *endpoint);
    settings->endpoints = xrealloc(settings->endpoints, (settings->endpoint_count + 1) * sizeof *settings->endpoints);
    settings->endpoints[settings->endpoint_count++] = endpoint;
    endpoint_init(&endpoint->base, dialect, destroy_endpoint);
    endpoint->transport = transport;
    endpoint->base.path = copy_text(path);
    endpoint->has_names = path_pattern_has_names(path);
    texts_add(&endpoint->subprotocols, STR("carillon.v1"));
    endpoint->carriers = CARRIER_ALL;
    texts_add(&endpoint->query_names, STR("token"));
    return endpoint;
}

struct net_endpoint *net_settings_keep_endpoint(struct net_settings *settings, const struct net_endpoint *before,
                                                struct quota *quota)
{
    bool is_held = !before->closed || quota_count(quota, QUOTA_OF_ENDPOINT, before->base.path) > 0;
    if (!is_held || find(settings, before->base.path))
        return NULL;
    struct net_endpoint *endpoint =
        net_settings_add_endpoint(settings, before->base.path, before->transport, before->base.dialect);
    endpoint->closed = true;
    endpoint_continue(&endpoint->base, &before->base);
    for (size_t i = 0; i < before->claims.count; i++)
        texts_add(&endpoint->claims, before->claims.items[i]);
    for (size_t i = 0; i < before->scopes.count; i++)
        texts_add(&endpoint->scopes, before->scopes.items[i]);
    return endpoint;
}
