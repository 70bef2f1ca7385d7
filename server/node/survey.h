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

/* The facts of this node in a survey. The texts and the peers are borrowed for the life of struct surveys. */
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
    bool partial; /* a worker or a node has not answered, or the broker is down, so that other nodes are unknown */
    char bytes[];
};

/* Copies the question, which control_check has passed. */
struct survey *survey_create(const struct control_request *question);

static inline struct survey *survey_of(struct request *request)
{
    return CONTAINER_OF(request, struct survey, base);
}

/* In the router's thread, once its broker is set. The router is borrowed, facts is copied. */
struct surveys *surveys_create(struct router *router, const struct survey_facts *facts);

/* Any thread may call it. Takes the survey. */
void survey_ask(struct surveys *surveys, struct survey *survey);

/* Takes a control message of another node: a question or an answer. Any other is ignored. */
void surveys_hear(struct surveys *surveys, struct str from, struct str bytes);

/* Answers the surveys under way with what has come, and refuses new ones. Call while the workers' mailboxes are open.
 */
void surveys_close(struct surveys *surveys);
/* Call after surveys_close, once the workers' mailboxes are closed, and before turn_close of the router's turn. */
void surveys_destroy(struct surveys *surveys);

#endif
