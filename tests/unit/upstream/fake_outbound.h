/* fake_outbound.h - the calls of outbound.h as a list that a test looks at and answers by hand. */
#ifndef CARILLON_TESTS_FAKE_OUTBOUND_H
#define CARILLON_TESTS_FAKE_OUTBOUND_H

#include "common/base/buf.h"
#include "server/outbound/outbound.h"

enum { FAKE_CALLS_MAX = 64 };

struct outbound_call {
    struct buf fields; /* "name: value\n" */
    struct buf body;
    struct buf id;
    const struct outbound_ops *ops;
    void *owner;
    struct outbound_target *target;
    size_t more; /* bytes that have been acknowledged */
    bool over;   /* it has ended */
    bool cancelled;
};

struct outbound_target {
    unsigned refs;
};

/* All calls, oldest first, also those that are over. */
extern struct fake_outbound {
    struct outbound_call *calls[FAKE_CALLS_MAX];
    size_t count;
    void *mailbox_owner;
} fake_outbound;

struct outbound_target *fake_target_create(void);
void fake_outbound_fini(void);

/* The answer of a call. type may be NULL; fields: of the target, in their order; NULL: none. */
void fake_head(struct outbound_call *call, int status, const char *type, const struct str *fields, size_t count);
void fake_body(struct outbound_call *call, struct str part);
void fake_end(struct outbound_call *call, enum outbound_result result);
/* All three, with a body if it is not NULL. */
void fake_answer(struct outbound_call *call, int status, const char *type, const char *body);
/* The value of a field that the request has; "" if it has none. */
const char *fake_field(struct outbound_call *call, const char *name);

#endif
