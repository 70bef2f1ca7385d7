/* entry.h - entry steps: what stands between an admitted request and its session. The steps run one after the other.
 * Each step lets the client pass, refuses it, or answers later. A step may also change what the session begins with.
 * The gate keeps the connection meanwhile, and cancels when the client goes away or its time is over. All steps
 * together have the time of the request. Once that is over, the steps that are left still begin, but none of them
 * waits: one that would wait is cancelled at once. Entry steps know no sockets. One thread.
 *
 * A step is a file of this folder, or of a folder that this one knows nothing of. The list of all steps, in their
 * order, is in entry_steps.c. */
#ifndef CARILLON_NET_ENTRY_ENTRY_H
#define CARILLON_NET_ENTRY_ENTRY_H

#include "server/core/hub.h"
#include "server/net/admission/admission.h"

struct entry;

enum entry_verdict {
    ENTRY_PASSES,
    ENTRY_IS_REFUSED,
    ENTRY_WAITS, /* entry_answer follows, or cancel: also at once, if the client has no time left */
};

struct entry_step {
    /* The head is borrowed for the call. *out_reason: of a refusal. */
    enum entry_verdict (*begin)(void *owner, struct entry *entry, const struct http_head *head,
                                enum reason *out_reason);
    /* The client has gone, or has waited too long: the step must not answer, nor use the entry any more. NULL in a step
     * that never waits. */
    void (*cancel)(void *owner, struct entry *entry);
    bool passes_late; /* a client without time left does not wait, but passes; else it is refused with not_ready */
    void *owner;
};

/* How a refusal looks in place of what its reason says. 0: as the reason says. */
struct entry_form {
    int status;             /* by HTTP, whatever the endpoint says */
    int close_code;         /* by a close frame, whatever the endpoint says; not both */
    uint64_t retry_after_s; /* by HTTP */
};

struct entry {
    /* For the steps. */
    struct admitter *admitter;
    struct admission admission; /* ADMITTED, with one reference to its endpoint. A step may exchange the claims. From
                                   user_limit_step on there are claims */
    struct lease *lease;        /* the places that the connection has in the limits */
    char uuid[UUID_LEN + 1];    /* of the session to come */
    struct first_channel *channels; /* owned, as their names; see entry_subscribe */
    size_t channel_count;
    char *explanation;             /* owned; see entry_explain */
    struct entry_form form;        /* see entry_refuse_as */
    struct session_slot *slot;     /* owned, of session_limit_step.c; NULL: none, or the session has it */
    void *waiter;                  /* of the step that waits, for its cancel */
    struct session_ticket *ticket; /* owned, of ticket_step.c; NULL: none, or the session has it */
    /* Of entry.c. */
    const struct entry_step *steps;
    size_t step_count;
    size_t at; /* the present step, or the next one */
    bool waits;
    bool late; /* the client's time is over: no step waits any more */
    void (*answered)(struct entry *entry, enum reason reason);
};

/* Takes the claims of the admission, which has been ADMITTED by the admitter's present settings. Borrows the rest for
 * the life of the entry. entry_answer calls `answered`. */
struct entry_start {
    struct admitter *admitter;
    struct lease *lease;
    struct str node_id; /* for the session's uuid; not kept */
    const struct entry_step *steps;
    size_t step_count;
    void (*answered)(struct entry *entry, enum reason reason);
};
void entry_init(struct entry *entry, const struct entry_start *start, const struct admission *admission);
/* May be called for a zeroed entry. */
void entry_fini(struct entry *entry);

/* Runs the steps that are left, until one refuses or waits, or the last one has been passed. *out_reason: of a
 * refusal. */
enum entry_verdict entry_run(struct entry *entry, const struct http_head *head, enum reason *out_reason);

/* For a step: the session will begin with a subscription to this channel. The name is copied. A channel over the
 * session's limit is left out. by_backend: it stays whatever the session's rights are; else the session has it as if
 * its client had asked, and the step has checked the rights. ERR_INVALID_REQUEST says what is wrong with the name
 * (channel_check): then nothing is added, and the step decides whether the client passes without it. */
enum err entry_subscribe(struct entry *entry, struct str channel, bool by_backend, struct error *error);

/* For a step that refuses: tells the client this text in place of the reason's sentence. */
void entry_explain(struct entry *entry, const char *text);
/* The same where the user has as many sessions as the token's session_limit allows. */
void entry_explain_session_limit(struct entry *entry);

/* The same: the refusal looks like this. */
void entry_refuse_as(struct entry *entry, const struct entry_form *form);

/* The late answer of the step that waits: the client passes (REASON_NONE), or is refused. The step calls it once, and
 * not from within its begin. The entry may be gone afterwards. A client that passes is refused all the same if its
 * token has been revoked meanwhile, or if the node drains. */
void entry_answer(struct entry *entry, enum reason reason);

/* The client has gone: tells the step that waits. */
void entry_cancel(struct entry *entry);
/* The client's time is over while a step waits, or the node drains. Tells the step, and says as entry_answer does
 * whether the client passes. No later step waits. */
enum reason entry_give_up(struct entry *entry);

/* Call after a step has waited. False: a reload has removed the endpoint meanwhile. Then the client is refused like one
 * that asks for an unknown path (admission_refuse_path). */
bool entry_has_endpoint(const struct entry *entry);

/* Turns the entry's admission into a refusal, in the way that the present step asks for. */
void entry_refuse(struct entry *entry, enum reason reason);

#endif
