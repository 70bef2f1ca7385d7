/* outlet.h - how events get to the server: over HTTP, over WebSocket or through Redis, pipelined. An event is handed
 * over for one of the outlet's connections, and leaves with outlet_send. Single thread: the loop's. */
#ifndef CARILLON_BENCH_LOAD_OUTLET_H
#define CARILLON_BENCH_LOAD_OUTLET_H

#include "bench/load/outlet_kind.h"

/* The fields before `kind` are the caller's. Connects, by run->settings->transport. outlet_close in any case. */
enum err outlet_open(struct outlet *outlet, struct error *error);
void outlet_close(struct outlet *outlet);

/* Event `number` of the run (payload.h) on channel `channel` of the settings. */
void outlet_publish(struct outlet *outlet, size_t connection, uint32_t channel, uint32_t number, size_t data_bytes);

/* Sends what the connection has, the batch that is not full too. */
void outlet_send(struct outlet *outlet, size_t connection);

/* Why there is no going on; NULL while all is well. */
const struct error *outlet_failure(const struct outlet *outlet);

#endif
