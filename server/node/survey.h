/* survey.h - surveys: one question to all workers of all nodes, and the answer that is merged from theirs. The question
 * (core/control.h) goes to the workers of this node by mail, and to the other nodes through the broker. A question
 * about one session goes to the node that its id names (core/session_uuid.h). A worker or a node that has not answered
 * in time is left out, and the answer is marked as partial. Surveys live in the router's thread. */
#ifndef CARILLON_NODE_SURVEY_H
#define CARILLON_NODE_SURVEY_H

#include "common/base/buf.h"
#include "server/core/control.h"
#include "server/node/peers.h"
#include "server/node/router.h"

enum { SURVEY_TIMEOUT_MS = 2000 };

/* All surveys that are under way on this node. */
struct surveys;

/* What this node says of itself. The texts and peers are borrowed as long as struct surveys lives. */
struct survey_facts {
    struct str node_id;
    const char *version;
    const char *libraries; /* "libuv 1.44.2, ..." */
    uint64_t started_us;   /* monotonic */
    uint64_t timeout_ms;   /* SURVEY_TIMEOUT_MS, or a test's */
    struct peers *peers;   /* described with this node; may be NULL */
};

/* A question and its answer. */
struct survey {
    struct request base;
    struct control_request question; /* its texts lie in bytes */
    /* The answer. */
    struct control_result result;
    struct buf nodes; /* CONTROL_INFO: a JSON object of each node that answered, separated by commas */
    size_t nodes_asked;
    size_t nodes_answered;
    bool partial; /* a worker or a node has not answered, or nobody knows whether there are other nodes */
    char bytes[];
};

/* Copies the question (control_check has passed). */
struct survey *survey_create(const struct control_request *question);

static inline struct survey *survey_of(struct request *request)
{
    return CONTAINER_OF(request, struct survey, base);
}

/* In the router's thread, once its broker is set. Everything
 * is borrowed. */
struct surveys *surveys_create(struct router *router, const struct survey_facts *facts);

/* Any thread. Takes the survey. */
void survey_ask(struct surveys *surveys, struct survey *survey);

/* Takes a control message of another node: a question or an answer. Any other is ignored. */
void surveys_hear(struct surveys *surveys, struct str from, struct str bytes);

/* Answers the surveys under way with what there is, and refuses new ones. The workers' mailboxes are still open. */
void surveys_close(struct surveys *surveys);
/* After surveys_close, once the workers' mailboxes are closed and before the router's turn is. The loop must run once
 * more, as for turn_close: the memory is freed then. */
void surveys_destroy(struct surveys *surveys);

#endif
