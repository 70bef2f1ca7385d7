/* lifecycle_batch.h - a batch of lifecycle events as arguments of the script lifecycle.lua. Pure. */
#ifndef CARILLON_BROKER_REDIS_LIFECYCLE_BATCH_H
#define CARILLON_BROKER_REDIS_LIFECYCLE_BATCH_H

#include "server/core/lifecycle_event.h"

/* An event brings at most two arguments for its session and two more for the stream, or four for its channel. */
enum { LIFECYCLE_BATCH_ARGS_MAX = 3 + 4 * LIFECYCLE_BATCH_MAX };

/* Writes the arguments to out, which has room for LIFECYCLE_BATCH_ARGS_MAX. Returns how many there are. The order is
 * that of lifecycle.lua: three counts, what has become of sessions, the events. Texts that have to be made are appended
 * to texts, which must be empty. The arguments are valid while write and texts stay as they are. */
size_t lifecycle_batch_arguments(const struct lifecycle_write *write, struct buf *texts, struct str *out);

#endif
