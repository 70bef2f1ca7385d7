/* capacity.h - how many connections this process can have at once. It is the number of the options, or less if the
 * process may not open that many files. Files for the internal listener, Redis, upstreams, logs and reloads are set
 * aside first. So probes are answered whatever clients do. */
#ifndef CARILLON_APP_CAPACITY_H
#define CARILLON_APP_CAPACITY_H

#include "server/app/options.h"
#include "server/net/admission/settings.h"

struct capacity {
    size_t connections;
    size_t internal;
    size_t pending;
};

/* Computes the connections that fit into this many open files. False: too few to start with, and *out_least has the
 * smallest number that is enough. */
bool capacity_fit(const struct options *options, unsigned workers, uint64_t files, struct capacity *out,
                  uint64_t *out_least);

/* Called once, at the start. Raises this process's limit on open files as far as it may, and logs which limits it
 * lowers. ERR_UNAVAILABLE: far too few files. */
enum err capacity_claim(const struct options *options, unsigned workers, struct capacity *out, struct error *error);

/* Called after a reload: raises the limit for connections to upstreams that are new. */
void capacity_follow(const struct options *before, const struct options *now);

/* Into settings that nobody shares yet. */
void capacity_apply(const struct capacity *capacity, struct net_settings *net);

#endif
