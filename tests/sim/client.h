/* client.h - simulated clients. Each has at most one connection, to the node that the plan names. It subscribes,
 * publishes, goes and comes back. It checks everything that it is sent. Of each channel it knows the position: an event
 * must be the next one, or the server must have said that events are missing. */
#ifndef CARILLON_TESTS_SIM_CLIENT_H
#define CARILLON_TESTS_SIM_CLIENT_H

#include "tests/sim/sim_node.h"

enum { CLIENTS_MAX = 8 };

void client_begin(size_t count);
void client_end(void);

bool client_is_connected(size_t client);
/* Its node has its session: has made it, and not ended it. */
bool client_has_session(size_t client);
bool client_is_subscribed(size_t client, size_t channel);
void client_connect(size_t client, struct sim_node *node);
void client_disconnect(size_t client);
/* From where it was, if it has been there; or from last events back if that is not 0. */
void client_subscribe(size_t client, size_t channel, uint64_t last);
void client_ask_presence(size_t client, size_t channel);
void client_read_history(size_t client, size_t channel);
void client_unsubscribe(size_t client, size_t channel);
void client_publish(size_t client, uint64_t number);
/* It reads nothing until then. */
void client_stall(size_t client, uint64_t until_us);

/* At the end all connected clients ask for the presence of every channel, and must get the exact list. With
 * may_be_unknown, "unavailable" is right too: Redis may have lost the list when no node had a reason to look.
 * client_check_told then checks that all have an answer. */
void client_ask_all(bool may_be_unknown);
void client_check_told(void);
/* At the end: checks that every subscriber is at the channel's position. */
void client_check(bool turned);

/* --- for sim_node.c --- */
/* The worker ends: its connections with it. In the worker's thread. */
void client_lose_all(struct sim_worker *worker);

#endif
