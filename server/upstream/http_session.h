/* http_session.h - the messages of one session on their way to an HTTP backend. Private to this folder. One thread, the
 * hub's.
 *
 *   take -> waiting, at most waiting_bytes, else the client is not read
 *        -> under way: one call at a time in order, else up to SESSION_CALLS_MAX
 *        -> frames to the client, in the order in which they come
 *
 * The session's end does not end its messages: those that wait are still sent, and `disconnected` after them. An answer
 * that comes then is for nobody, and is counted. */
#ifndef CARILLON_UPSTREAM_HTTP_SESSION_H
#define CARILLON_UPSTREAM_HTTP_SESSION_H

#include "server/core/upstream.h"

enum { SESSION_CALLS_MAX = 32 };

/* The functions of struct upstream_ops. */
struct upstream_session *http_session_opened(struct upstream *upstream, struct hub *hub, struct session *session,
                                             struct session_origin *origin);
enum err http_session_take(struct upstream_session *state, const struct session_message *message, struct error *error);
void http_session_ask(struct upstream_session *state, struct subscribe_question *question);
void http_session_ended(struct upstream_session *state, int code, struct str reason);

#endif
