/* entry_steps.h - the entry steps of a worker, in the order in which its clients pass them. */
#ifndef CARILLON_NET_ENTRY_ENTRY_STEPS_H
#define CARILLON_NET_ENTRY_ENTRY_STEPS_H

#include "server/net/entry/entry.h"

struct hub;

/* Steps that other folders make. A zeroed one is left out. */
struct outside_steps {
    struct entry_step connect; /* server/upstream/connect_step.h */
    struct entry_step fault;   /* server/dev/line_step.h; only `carillon dev` has it */
};

/* Returns how many steps there are. *out: an array of them, which the caller frees. The hub is borrowed, and so are the
 * owners of the outside steps, for as long as the array is used. */
size_t entry_steps_create(struct hub *hub, const struct outside_steps *outside, struct entry_step **out);

#endif
