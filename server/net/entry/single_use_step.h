/* single_use_step.h - the entry step of endpoints whose tokens open one connection each (server/core/single_use.h). It
 * is the last step, so a client that is refused for another reason keeps its token. */
#ifndef CARILLON_NET_ENTRY_SINGLE_USE_STEP_H
#define CARILLON_NET_ENTRY_SINGLE_USE_STEP_H

#include "server/net/entry/entry.h"

struct hub;

/* While the broker is away, nobody enters such an endpoint. The hub is borrowed. */
struct entry_step single_use_step(struct hub *hub);

#endif
