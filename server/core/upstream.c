/* upstream.c - see upstream.h. */
#include "server/core/upstream.h"

enum { WARNINGS_MOST = 20 }; /* in ten seconds */

void upstream_init(struct upstream *upstream, const struct upstream_ops *ops, struct str name)
{
    upstream->ops = ops;
    upstream->name = name;
    upstream->warnings = (struct log_limit){.most = WARNINGS_MOST};
    atomic_init(&upstream->refs, 1);
}

struct upstream *upstream_ref(struct upstream *upstream)
{
    atomic_fetch_add_explicit(&upstream->refs, 1, memory_order_relaxed);
    return upstream;
}

void upstream_unref(struct upstream *upstream)
{
    if (upstream && atomic_fetch_sub_explicit(&upstream->refs, 1, memory_order_acq_rel) == 1)
        upstream->ops->destroy(upstream);
}

void upstream_session_begin(struct upstream_session *state, struct upstream *upstream, struct session *session)
{
    *state = (struct upstream_session){.upstream = upstream_ref(upstream), .session = session};
}
