/* capacity.c - see capacity.h. */
#include "server/app/capacity.h"

#include <sys/resource.h>

#include "common/base/log.h"

/* Besides connections: loops, pipes, log, Redis (two or three connections for each server of a cluster), key files and
 * certificates that a reload reads. The least of it is for few servers. */
enum { OWN_FILES = 200, OWN_FILES_LEAST = 40, WORKER_FILES = 8, PLACES_LEAST = 32 };

static uint64_t at_least(uint64_t number, uint64_t least)
{
    return number > least ? number : least;
}

static uint64_t at_most(uint64_t number, uint64_t most)
{
    return number < most ? number : most;
}

void capacity_apply(const struct capacity *capacity, struct net_settings *net)
{
    net->max_connections = capacity->connections;
    net->max_internal = capacity->internal;
    net->max_pending = capacity->pending;
}

static uint64_t sockets(const struct capacity *capacity, bool internal)
{
    struct net_settings net = {0};
    capacity_apply(capacity, &net);
    return net_settings_sockets(&net, internal);
}

static uint64_t files_for(const struct capacity *capacity)
{
    return sockets(capacity, false) + sockets(capacity, true);
}

/* Connections to upstreams. */
static uint64_t upstream_files(const struct options *options)
{
    uint64_t files = 0;
    for (size_t i = 0; i < options->upstreams.count; i++)
        if (*options->upstreams.items[i].url)
            files += options->upstreams.items[i].in_flight;
    return files;
}

/* Every worker has room for one that is pending. */
static struct capacity wanted(const struct options *options, unsigned workers)
{
    return (struct capacity){
        .connections = options->limits_connections,
        .internal = at_least(options->limits_http_connections, workers),
        .pending = at_least(options->limits_pending_connections, workers),
    };
}

bool capacity_fit(const struct options *options, unsigned workers, uint64_t files, struct capacity *out,
                  uint64_t *out_least)
{
    uint64_t own = OWN_FILES_LEAST + (uint64_t)WORKER_FILES * workers;
    struct capacity fitting = wanted(options, workers);
    *out_least = own + PLACES_LEAST + (uint64_t)4 * workers;
    uint64_t outgoing = upstream_files(options);
    if (files >= files_for(&fitting) + outgoing + OWN_FILES) {
        *out = fitting;
        return true;
    }
    if (files < *out_least)
        return false;
    uint64_t left = files - at_least(own, at_most(OWN_FILES, files / 8));
    left -= at_most(outgoing, left / 4);
    fitting.internal = at_most(fitting.internal, at_least(left / 8, workers));
    fitting.pending = at_most(fitting.pending, at_least(left / 4, workers));
    fitting.connections = 0;
    fitting.connections = at_most(options->limits_connections, left - files_for(&fitting));
    *out = fitting;
    return true;
}

enum err capacity_claim(const struct options *options, unsigned workers, struct capacity *out, struct error *error)
{
    struct rlimit limit;
    uint64_t least;
    *out = wanted(options, workers);
    uint64_t needed = files_for(out) + upstream_files(options) + OWN_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return ERR_NONE;
    /* Exactly what is needed: libwebsockets' work for each connection grows with the limit. */
    limit.rlim_cur = (rlim_t)at_most(limit.rlim_max, needed);
    setrlimit(RLIMIT_NOFILE, &limit);
    if (!capacity_fit(options, workers, limit.rlim_cur, out, &least))
        return error_set(error, ERR_UNAVAILABLE,
                         "only %llu files may be open, and it takes at least %llu; raise LimitNOFILE or ulimit -n",
                         (unsigned long long)limit.rlim_cur, (unsigned long long)least);
    if (limit.rlim_cur < needed)
        log_warn("app",
                 "only %llu files may be open: limits.connections is lowered from %llu to %zu, "
                 "limits.pending_connections from %llu to %zu, limits.http_connections from %llu to %zu; raise "
                 "LimitNOFILE or ulimit -n to %llu",
                 (unsigned long long)limit.rlim_cur, (unsigned long long)options->limits_connections, out->connections,
                 (unsigned long long)options->limits_pending_connections, out->pending,
                 (unsigned long long)options->limits_http_connections, out->internal, (unsigned long long)needed);
    return ERR_NONE;
}

void capacity_follow(const struct options *before, const struct options *now)
{
    struct rlimit limit;
    uint64_t had = upstream_files(before), needs = upstream_files(now);
    if (needs <= had || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    uint64_t wanted_files = limit.rlim_cur + (needs - had);
    if (wanted_files > limit.rlim_max)
        log_warn("app",
                 "only %llu files may be open; the connections to upstreams may not all find room; raise LimitNOFILE "
                 "or ulimit -n to %llu",
                 (unsigned long long)limit.rlim_max, (unsigned long long)wanted_files);
    limit.rlim_cur = (rlim_t)at_most(limit.rlim_max, wanted_files);
    setrlimit(RLIMIT_NOFILE, &limit);
}
