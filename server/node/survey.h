/* survey.h - asking all workers of all nodes: a question (core/control.h) goes to every worker of this node by mail and
 * to the other nodes through the broker; the answers are merged and come back to the worker that asked. Who has not
 * answered in time is left out, and the answer says that it is partial. Lives in the router's thread. */
#ifndef CARILLON_NODE_SURVEY_H
#define CARILLON_NODE_SURVEY_H

#include "common/base/buf.h"
#include "server/core/control.h"
#include "server/node/peers.h"
#include "server/node/router.h"

enum { SURVEY_TIMEOUT_MS = 2000 };

struct survey;

/* What this node says of itself. The texts, and peers, are borrowed for the survey's life. */
struct survey_facts {
    struct str node_id;
    const char *version;
    const char *libraries; /* "libuv 1.44.2, ..." */
    uint64_t started_us;   /* monotonic */
    uint64_t timeout_ms;   /* SURVEY_TIMEOUT_MS, or a test's */
    struct peers *peers;   /* hears control messages first; may be NULL */
};

/* A question on its way and its answer; one allocation. At any time one thread owns it. */
struct survey_call {
    struct mail mail;
    struct control_request request; /* its texts lie in bytes */
    /* The answer. */
    struct error error; /* code ERR_NONE: answered */
    struct control_result result;
    struct buf nodes; /* CONTROL_INFO: a JSON object of each node that answered, separated by commas */
    size_t nodes_asked;
    size_t nodes_answered;
    bool partial; /* somebody has not answered, or nobody knows whether there are other nodes */
    /* The way back. done takes the call. */
    struct mailbox *reply_to;
    void (*done)(struct survey_call *call, void *owner);
    void *waiter;
    char bytes[];
};

/* Copies the request (control_check has passed). */
struct survey_call *survey_call_create(const struct control_request *request);
void survey_call_destroy(struct survey_call *call);

/* In the router's thread, once its workers and its broker are set: takes the router's control messages. Everything
 * is borrowed. */
struct survey *survey_create(struct router *router, const struct survey_facts *facts);

/* Any thread. Takes the call. */
void survey_ask(struct survey *survey, struct survey_call *call);

/* Answers what is under way with what there is, and refuses new questions. The workers' mailboxes are still open. */
void survey_close(struct survey *survey);
/* After survey_close, once the workers' mailboxes are closed and before the router's turn is. The loop must run once
 * more, as for turn_close: the survey's memory goes then. */
void survey_destroy(struct survey *survey);

#endif
