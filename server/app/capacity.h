/* capacity.h - how many connections this process can have at once: what the options say, or fewer, where it may not
 * have as many files open. Files for the internal listener, for Redis, logs and reloads are set aside first, so that
 * probes are answered whatever clients do. */
#ifndef CARILLON_APP_CAPACITY_H
#define CARILLON_APP_CAPACITY_H

#include "server/app/options.h"
#include "server/net/admission/settings.h"

struct capacity {
    size_t connections;
    size_t internal;
    size_t pending;
};

/* What fits into this many open files. False: nothing that is worth starting; *out_least says how many it takes. */
bool capacity_fit(const struct options *options, unsigned workers, uint64_t files, struct capacity *out,
                  uint64_t *out_least);

/* Once, at the start: sets this process' limit on open files, as far as it may, and says in the log what is lowered.
 * ERR_UNAVAILABLE: far too few files. */
enum err capacity_claim(const struct options *options, unsigned workers, struct capacity *out, struct error *error);

/* Into settings that nobody shares yet. */
void capacity_apply(const struct capacity *capacity, struct net_settings *net);

#endif
