/* redis_connection_private.h - between three files. redis_connection.c: how a connection comes up.
 * redis_connection_stream.c: what goes over it, which is commands out, answers in and to whom they are due, TLS around
 * both. redis_connection_close.c: how it closes. */
#ifndef CARILLON_BROKER_REDIS_CLIENT_REDIS_CONNECTION_PRIVATE_H
#define CARILLON_BROKER_REDIS_CLIENT_REDIS_CONNECTION_PRIVATE_H

#include <stdarg.h>

#include "server/broker/redis/client/redis_connection.h"

/* What redis_connection.c does when the others have come to an end. */
struct redis_connection_steps {
    void (*established)(struct redis_connection *connection); /* TLS is established */
    void (*closed)(struct redis_connection *connection);      /* all its handles are closed */
};

/* redis_connection_close.c, where redis_connection_drop is as well. */
bool redis_connection_is_ended(const struct redis_connection *connection);
/* The connection is not ended. reset: what has not reached Redis never will. */
void redis_connection_close(struct redis_connection *connection, bool reset, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
/* One handle or request fewer that has to end before the connection is closed. */
void redis_connection_let_go(struct redis_connection *connection);

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
