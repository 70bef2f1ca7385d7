/* http_session_state.h - what an HTTP upstream keeps of one session. Private to this folder. One thread, the hub's. */
#ifndef CARILLON_UPSTREAM_HTTP_SESSION_STATE_H
#define CARILLON_UPSTREAM_HTTP_SESSION_STATE_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/random.h"
#include "common/token/claims.h"
#include "server/core/endpoint.h"
#include "server/core/session_origin.h"
#include "server/upstream/answer_turns.h"
#include "server/upstream/http_upstream_private.h"

struct http_session {
    struct upstream_session base;
    struct hub *hub;
    struct endpoint *endpoint;     /* that the session began with; one reference */
    struct session_origin *origin; /* one reference; NULL: none */
    char uuid[UUID_LEN + 1];
    struct buf lines;         /* headers that all its calls have */
    struct claims *claims;    /* of which the lines are made; one reference */
    struct buf state;         /* what the backend gave as ce-connectionstate last */
    struct list_link waiting; /* messages (http_session.c) */
    struct list_link under_way;
    struct answer_turns turns;  /* until the session ends */
    struct list_link questions; /* subscribe calls (subscribe_call.c) */
    uint64_t questions_asked;
    unsigned calls; /* under way */
    size_t bytes;   /* of the messages in both lists, with MESSAGE_COST each */
};

static inline struct http_session *http_session_of(struct upstream_session *base)
{
    return CONTAINER_OF(base, struct http_session, base);
}

static inline const struct http_upstream_options *http_session_options(const struct http_session *state)
{
    return &http_upstream_of(state->base.upstream)->options;
}

/* The headers that all calls for a session have, in the place of what out has. origin may be NULL. */
void http_session_write_lines(struct buf *out, const struct http_upstream_options *options, struct str uuid,
                              const struct claims *claims, const struct session_origin *origin);
/* The client's traceparent; empty: it has none that is well-formed. */
struct str http_session_trace(const struct http_session *state);
/* Writes the lines, or writes them again if the session's claims are other ones. */
void http_session_refresh(struct http_session *state);

#endif
