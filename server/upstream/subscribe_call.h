/* subscribe_call.h - asks the backend whether a session may have a channel: the event carillon.subscribe, with the body
 * {"channel":"NAME"}. A status 2xx means yes, 4xx no. Otherwise http_upstream_options says what holds. Questions do not
 * wait for the messages of the session. Private to this folder. */
#ifndef CARILLON_UPSTREAM_SUBSCRIBE_CALL_H
#define CARILLON_UPSTREAM_SUBSCRIBE_CALL_H

struct http_session;
struct subscribe_question;

/* Takes the question. */
void subscribe_call_start(struct http_session *state, struct subscribe_question *question);
/* The session has ended: nobody waits for the answers. */
void subscribe_calls_end(struct http_session *state);

#endif
