/* backend_call.h - one request to a backend: its headers, its tries, its answer. A call is part of a struct of its
 * owner, who fills it, starts it, and frees it once it is done. One thread, the hub's. Private to this folder. */
#ifndef CARILLON_UPSTREAM_BACKEND_CALL_H
#define CARILLON_UPSTREAM_BACKEND_CALL_H

#include "common/base/list.h"
#include "common/base/wheel.h"
#include "server/outbound/outbound.h"
#include "server/upstream/answer_frames.h"
#include "server/upstream/cloudevents.h"

struct backend_call;
struct http_upstream;
struct hub;

enum { TRIES_MAX = 3, RETRY_AFTER_MAX_S = 5 };

/* What an answer says besides its body. Texts are borrowed for the call of the function; empty: not there. */
struct backend_answer {
    int status;
    struct str state; /* ce-connectionstate */
    struct str subscribe;
    struct str unsubscribe;
    struct str close;
};

/* How a call has ended. */
struct backend_result {
    enum err err;     /* ERR_NONE: the backend has done it. Otherwise for the client, with text */
    const char *text; /* for the client; static */
    int status;       /* of the answer; 0: none came */
};

/* The backend has answered with a status 4xx. */
static inline bool backend_call_is_refused(const struct backend_result *result)
{
    return result->status >= 400 && result->status < 500;
}

struct backend_call_ops {
    /* An answer has begun, of any status. False: nobody wants it, and the owner has freed the call. */
    bool (*head)(struct backend_call *call, const struct backend_answer *head);
    /* A frame of an answer that means success. Borrowed. */
    void (*frame)(struct backend_call *call, bool binary, struct str frame);
    /* May a frame of at most so many bytes come? False holds back the backend: the call waits until backend_call_go_on.
     * The owner may put `turn` into a list. */
    bool (*has_room)(struct backend_call *call, size_t bytes);
    /* Always, and last, unless head said false. The owner frees the call. */
    void (*done)(struct backend_call *call, const struct backend_result *result);
};

struct backend_call {
    /* Of the owner. */
    const struct backend_call_ops *ops;
    struct http_upstream *upstream;
    struct hub *hub;
    struct cloudevent event; /* without its state */
    size_t joined;           /* messages in the body */
    const struct buf *lines; /* headers of the session, as cloudevent_write_session wrote them; borrowed, as the next */
    const struct buf *state; /* what the backend gave as ce-connectionstate; read for each try. NULL: nothing */
    struct str traceparent;  /* borrowed; empty: one is made */
    struct str content_type; /* of the body; borrowed; empty: no body */
    struct buf body;         /* owned */
    const char *correlation; /* for the log, as the client wrote it; NULL: none. Borrowed */
    bool last_try;           /* a failure now is final. May change while the call is under way */
    /* Of backend_call.c. */
    struct outbound_call *outbound; /* NULL: not under way */
    struct timer timer;             /* of the next try; or until when the client must have got the answer's end */
    uint64_t deadline_us; /* no try begins after it; once the answer is over, the client must have got its frames */
    unsigned tries;
    bool asks_leave; /* this try is OPTIONS: may requests be sent? (azure.h) */
    bool has_leave;  /* the answer to it says so */
    struct answer_frames frames;
    size_t unread;         /* bytes of the answer that have not been acknowledged */
    bool waits;            /* has_room has said no, and backend_call_go_on has not come yet */
    struct list_link turn; /* for the owner, while the call waits */
    struct buf rest;       /* what has come of the answer and is not cut into frames yet, while the call waits */
    bool over;             /* the answer has ended with `result`, and its last frames wait */
    enum outbound_result result;
    bool answered;          /* an answer that means success has begun, and may have frames */
    uint64_t retry_after_s; /* of a 503 */
    int status;
    struct error error; /* what was wrong with the answer, for the log */
};

/* Starts the first try. `done` does not come from within this call. */
void backend_call_start(struct backend_call *call);
/* There may be room, after has_room has said no. The call may be done and freed when this returns. */
void backend_call_go_on(struct backend_call *call);
/* What a call that waits asks room for. */
size_t backend_call_held(const struct backend_call *call);
/* Nothing more comes. The owner frees the call. May be called for a call that has not been started. */
void backend_call_fini(struct backend_call *call);

#endif
