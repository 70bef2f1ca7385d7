/* api_fixture.h - the API driven by plain structs: a fake node that keeps what it is asked, and answers when told. */
#ifndef CARILLON_TESTS_API_FIXTURE_H
#define CARILLON_TESTS_API_FIXTURE_H

#include "server/api/api.h"
#include "tests/support/unit.h"

enum { KEPT_MAX = 300 };

#define KEY "a key of the tests, long enough"

struct fixture {
    struct api *api;
    struct api_config config;
    struct str keys[2];
    struct rules *rules;
    struct metrics metrics;
    /* The questions to the node. */
    struct publication *publications[KEPT_MAX];
    size_t publication_count;
    struct survey *survey;     /* the last one */
    struct request *request;   /* the last one */
    struct history_read *read; /* the last one */
    bool answers_at_once;      /* publications are good, from within the call's turn */
    /* The node's answers. */
    enum broker_state broker_state;
    bool draining;
    size_t revocation_count;
};

void fixture_setup(struct fixture *f);
void fixture_teardown(struct fixture *f);

/* One router. */
struct router_of {
    struct http_call call;
    unsigned responses;
};

/* Sends the request with a key. The target may have a query. */
void send_request(struct fixture *f, struct router_of *x, const char *method, const char *target, const char *body);
/* Sends this request, which may borrow from the caller's memory. */
void send_http(struct fixture *f, struct router_of *x, const struct http_request *request);
/* The response must have come, once. Checks it and frees it. */
void expect(struct router_of *x, int status, const char *body);
/* The same when the whole body is not known: it must contain the text. */
void expect_part(struct router_of *x, int status, const char *part);

/* Answers a kept publication by an id made of its index, and by an offset if its channel has history. */
void answer_publication(struct fixture *f, size_t index);
void fail_publication(struct fixture *f, size_t index, enum err code);
/* Gives the last survey back. */
void answer_survey(struct fixture *f);

#endif
