/* network.h - TCP connections between the nodes and Redis over the simulated world, with delays, pauses, partitions
 * and cuts. The nodes' side is libuv's (uv_tcp_t and its functions). The other side is the model of Redis. Bytes of a
 * connection keep their order. When the connection is cut, bytes on their way may or may not arrive. */
#ifndef CARILLON_TESTS_SIM_NETWORK_H
#define CARILLON_TESTS_SIM_NETWORK_H

#include "common/base/str.h"
#include "tests/sim/loop.h"

struct redis_client;

/* One connection. Lives until network_end. */
struct wire;

void network_begin(void);
void network_end(void);

/* --- faults --- */
/* Longest way of a segment, one direction. */
void network_set_delay(uint64_t delay_max_us);
/* New connections are refused. */
void network_refuse(bool refuse);
/* Nothing gets to Redis until then; it is as if its process were stopped. */
void network_pause_redis(uint64_t until_us);
/* Nothing gets from this loop's node to Redis or back until then; nobody is told. */
void network_cut_off(struct sim_loop *loop, uint64_t until_us);
/* Cuts the connections for which it is true: all of them for NULL. Returns how many. */
size_t network_cut_all(bool (*chosen)(const struct redis_client *client, const void *argument), const void *argument);
const struct sim_loop *network_loop(const struct wire *wire);

/* --- Redis's side --- */
void network_answer(struct wire *wire, struct str bytes);
/* The bytes of answers that have not arrived yet. */
size_t network_unsent(const struct wire *wire);
/* Redis ends it. */
void network_cut(struct wire *wire);

/* --- for loop.c --- */
void network_close(uv_tcp_t *tcp);
void network_closed(uv_tcp_t *tcp);

/* --- names.c, for network.c --- */
void names_begin(void);
void names_end(void);

#endif
