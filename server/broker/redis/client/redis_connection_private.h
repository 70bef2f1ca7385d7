/* redis_connection_private.h - what the three files of a connection share.
 *
 * - redis_connection.c: how a connection comes up.
 * - redis_connection_stream.c: commands out, answers in, and TLS for both.
 * - redis_connection_close.c: how a connection closes. */
#ifndef CARILLON_BROKER_REDIS_CLIENT_REDIS_CONNECTION_PRIVATE_H
#define CARILLON_BROKER_REDIS_CLIENT_REDIS_CONNECTION_PRIVATE_H

#include "server/broker/redis/client/redis_connection.h"

/* What redis_connection.c does next; the other files call these. */
struct redis_connection_steps {
    void (*established)(struct redis_connection *connection); /* TLS is established */
    void (*closed)(struct redis_connection *connection);      /* all its handles are closed */
};

/* redis_connection_close.c, where redis_connection_drop is as well. */
bool redis_connection_is_ended(const struct redis_connection *connection);
/* Closes a connection that is not ended. reset: commands that have not reached Redis never will. */
void redis_connection_close(struct redis_connection *connection, bool reset, const char *why);
/* One handle or request fewer that has to end before the connection is closed. */
void redis_connection_let_go(struct redis_connection *connection);

/* redis_connection_stream.c, where redis_connection_send is as well. */
/* Begins to read when TCP is connected. Less than 0: libuv's error. */
int redis_connection_read_start(struct redis_connection *connection);
/* Writes the commands of a turn, at its end. */
void redis_connection_flush(struct redis_connection *connection);
/* Writes the last commands of a connection. Bytes that the kernel does not take at once are lost. */
void redis_connection_flush_last(struct redis_connection *connection);
/* For how long the oldest command has waited for its answer; 0: no command waits. */
uint64_t redis_connection_waits_ms(const struct redis_connection *connection);
/* Called when all handles are closed: answers the commands without an answer with NULL, and clears the buffers. */
void redis_connection_stream_end(struct redis_connection *connection);
void redis_connection_stream_fini(struct redis_connection *connection);

#endif
