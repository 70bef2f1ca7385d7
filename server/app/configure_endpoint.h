/* configure_endpoint.h - an endpoint as its sessions have it (server/core/endpoint.h), made from the options. */
#ifndef CARILLON_APP_CONFIGURE_ENDPOINT_H
#define CARILLON_APP_CONFIGURE_ENDPOINT_H

#include "server/app/options.h"
#include "server/core/endpoint.h"

/* Limits and times of the node's endpoints, where an endpoint has none of its own. */
struct node_limits {
    struct endpoint_limits limits;
    uint64_t ping_interval_us;
    uint64_t pong_timeout_us;
};
struct node_limits configure_node_limits(const struct options *options);

/* Fills an endpoint that endpoint_init has made. Its upstream is left alone. On failure the error names the option. */
enum err configure_endpoint(struct endpoint *endpoint, const struct endpoint_options *options,
                            const struct node_limits *node, struct error *error);

/* Of an endpoint that a reload has removed, for the sessions that it still has: what it had of the node follows the
 * node. */
void configure_kept_endpoint(struct endpoint *endpoint, const struct node_limits *before,
                             const struct node_limits *now);

#endif
