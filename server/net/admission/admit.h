/* admit.h - a request at a worker: the decision of admission.h with the worker's verifier and state, the limits that
 * are known only now, the count of refusals, and their text. In the worker's thread. */
#ifndef CARILLON_NET_ADMISSION_ADMIT_H
#define CARILLON_NET_ADMISSION_ADMIT_H

#include "server/net/admission/admission.h"
#include "server/net/worker.h"

struct applicant {
    struct worker *worker;
    const struct http_head *head;
    const struct address *peer; /* or whom a PROXY header spoke for */
    struct lease *lease;        /* what it counts under, once it is admitted */
};

/* *out_client: the address it counts as. out->claims: one reference for the caller, or NULL. */
void admit(const struct applicant *applicant, struct admission *out, struct address *out_client);

/* The whole answer of a REFUSED_HTTP, in the place of what *out held. */
void admit_write_refusal(struct buf *out, struct worker *worker, const struct admission *admission, bool head_only);

/* Appends the error frame and the close frame of a refusal by close. */
void admit_write_close(struct buf *out, enum reason reason, int close_code);

#endif
