/* memory_lifecycle.h - lifecycle events of a node without Redis. They are kept until they are sent on, within
 * the bounds of the stream. There is one node, so each channel that it occupies is occupied. Parts of the memory
 * broker; its thread. */
#ifndef CARILLON_BROKER_MEMORY_MEMORY_LIFECYCLE_H
#define CARILLON_BROKER_MEMORY_MEMORY_LIFECYCLE_H

#include "common/base/list.h"
#include "server/core/lifecycle_event.h"

struct memory_lifecycle {
    struct list_link events; /* struct lifecycle_event, oldest first */
    uint64_t count;
    uint64_t bytes;
    uint64_t number; /* of the last one, from 1 */
    uint64_t sent;   /* number of the last event that was sent on */
};

void memory_lifecycle_init(struct memory_lifecycle *lifecycle);
void memory_lifecycle_fini(struct memory_lifecycle *lifecycle);

void memory_lifecycle_write(struct memory_lifecycle *lifecycle, struct lifecycle_write *write);
void memory_lifecycle_read(struct memory_lifecycle *lifecycle, struct lifecycle_read *read);

#endif
