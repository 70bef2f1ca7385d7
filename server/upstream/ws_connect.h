/* ws_connect.h - how the connection of a session to its backend opens: the upgrade request, its answer, failures.
 * Private to this folder. */
#ifndef CARILLON_UPSTREAM_WS_CONNECT_H
#define CARILLON_UPSTREAM_WS_CONNECT_H

struct ws_session;

/* In the state WS_IDLE, while there is the session. A failure is never told from within this call. */
void ws_connect_start(struct ws_session *state);
/* The session has ended before the connection was open, and nothing waits for it. */
void ws_connect_cancel(struct ws_session *state);
/* The session has ended, and messages wait for the connection: it gets little time more. */
void ws_connect_hurry(struct ws_session *state);
/* Messages of an ended session that cannot go anywhere: they are dropped, and the log says so. */
void ws_connect_drop_waiting(struct ws_session *state);

#endif
