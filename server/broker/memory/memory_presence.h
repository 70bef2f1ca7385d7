/* memory_presence.h - who is on the channels of a single node. One thread. */
#ifndef CARILLON_BROKER_MEMORY_MEMORY_PRESENCE_H
#define CARILLON_BROKER_MEMORY_MEMORY_PRESENCE_H

#include "common/base/map.h"
#include "common/base/shared_texts.h"
#include "server/broker/broker.h"
#include "server/core/presence.h"

/* A zeroed one is empty. */
struct memory_presence {
    struct map channels;         /* name -> struct memory_crowd */
    struct shared_texts entries; /* a user's is the same on all of its channels */
};

/* Takes the members over, and tells the sink join and leave if the rule asks for it. */
void memory_presence_update(struct memory_presence *presence, const struct broker *broker,
                            struct presence_update *update, uint64_t wall_ms);
void memory_presence_read(const struct memory_presence *presence, struct presence_read *read);
void memory_presence_fini(struct memory_presence *presence);

#endif
