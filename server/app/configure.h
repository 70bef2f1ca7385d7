/* configure.h - makes the settings of each part of the server from the options. Only this file knows both. */
#ifndef CARILLON_APP_CONFIGURE_H
#define CARILLON_APP_CONFIGURE_H

#include "server/app/configure_endpoint.h"
#include "server/app/configure_upstreams.h"
#include "server/broker/redis/client/redis_tls.h"
#include "server/broker/redis/ingest/ingest_entry.h"
#include "server/core/hub.h"
#include "server/net/admission/settings.h"
#include "server/node/lifecycle_watch.h"
#include "server/upstream/lifecycle_feed.h"

/* Everything a reload replaces as a whole. */
struct configuration {
    struct hub_settings hub;
    struct rules *rules;      /* one reference */
    struct net_settings *net; /* one reference */
    struct node_limits node_limits;
    struct configured_upstreams upstreams;
    struct token_keys *keys; /* one reference */
};

/* Reads key files. On failure nothing is made, and the error names the option or file. outbound and before: as in
 * configure_upstreams. */
enum err configuration_make(const struct options *options, struct outbound *outbound,
                            const struct configuration *before, struct configuration *out, struct error *error);
void configuration_fini(struct configuration *configuration);
/* Of a reload: endpoints that are gone stay while they have sessions, which the quota counts. Limits and times
 * that such an endpoint had of the node are the new ones. */
void configuration_keep_endpoints(struct configuration *fresh, const struct configuration *before, struct quota *quota);
/* All endpoints get this transport. */
void configuration_use_transport(struct configuration *configuration, const struct net_transport *transport);
/* Keeps the rules of before where they are the same, so that no channel has to be looked at again for them. */
void configuration_keep_rules(struct configuration *fresh, const struct configuration *before);

/* The options redis.tls_*. Borrows their texts. */
struct redis_tls_settings configuration_redis_tls(const struct options *options);

/* The settings by which entries of the ingest stream are checked. The rules are borrowed. */
struct ingest_settings configuration_ingest(const struct configuration *configuration, const struct options *options);

/* One reference; NULL: no lifecycle events. */
struct lifecycle_settings *configuration_lifecycle(const struct options *options);
/* The settings of the feed to lifecycle.http.url, which is given. stream is borrowed from the options. */
enum err configuration_lifecycle_feed(const struct options *options, struct outbound *outbound,
                                      struct lifecycle_feed_settings *out, struct error *error);

/* Reads all files that the options name, as the server would at its start, and keeps nothing. */
enum err configuration_try(const struct options *options, struct error *error);

#endif
