/* redis_connection_private.h - between redis_connection.c, how a connection comes up and ends, and
 * redis_connection_stream.c, what goes over it: commands out, answers in and to whom they are due, TLS around both. */
#ifndef CARILLON_BROKER_REDIS_CLIENT_REDIS_CONNECTION_PRIVATE_H
#define CARILLON_BROKER_REDIS_CLIENT_REDIS_CONNECTION_PRIVATE_H

#include "server/broker/redis/client/redis_connection.h"

/* redis_connection.c: TCP, and TLS if asked, are established. */
void redis_connection_log_in(struct redis_connection *connection);

/* redis_connection_stream.c, where redis_connection_send is as well. */
/* From TCP being connected; less than 0: libuv's error. */
int redis_connection_read_start(struct redis_connection *connection);
/* At the end of a turn: writes what has been sent. */
void redis_connection_flush(struct redis_connection *connection);
/* The same where nobody waits any more: what the kernel does not take at once is lost. */
void redis_connection_flush_last(struct redis_connection *connection);
/* How long the oldest answer has been due; 0 if none is. */
uint64_t redis_connection_waits_ms(const struct redis_connection *connection);
/* All handles are closed: unanswered commands are answered with NULL, and it can begin anew. */
void redis_connection_stream_end(struct redis_connection *connection);
void redis_connection_stream_fini(struct redis_connection *connection);

#endif
