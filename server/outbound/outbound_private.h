/* outbound_private.h - shared by the files of this folder, from the bottom to the top:
 *
 *     breaker.c       stops calls to a backend that fails
 *     call_answer.c   gathers what came for a call, and brings it to the caller's thread
 *     multi.c         a multi handle of libcurl for each target, on the loop: sockets and timeouts
 *     transfer.c      one easy handle of libcurl: its settings, its callbacks, its errors
 *     target.c        limits, breaker and idle transfers of one backend
 *     call.c          makes a call of a request, and checks it
 *     dispatch.c      which call goes out when, and how each one ends
 *     outbound.c      the thread, and what other threads call
 *
 * A call's memory has one reference from the beginning, which goes from the caller to the outbound thread and returns
 * with the last mail of the answer. Each cancel or more on its way to the outbound thread has one too. So every mail
 * finds its call, and the last mail comes always, also after a cancel. */
#ifndef CARILLON_OUTBOUND_OUTBOUND_PRIVATE_H
#define CARILLON_OUTBOUND_OUTBOUND_PRIVATE_H

#include <curl/curl.h>

#include "common/base/log.h"
#include "server/outbound/outbound.h"

enum { OUTBOUND_HEAD_MAX = 64 * 1024 };

struct outbound {
    struct metrics *metrics;
    atomic_size_t calls;
    bool runs;        /* the thread */
    bool has_stopped; /* it does not run any more; outbound_stop */
    pthread_t thread;
    uv_sem_t bound;
    uv_loop_t loop;
    struct turn turn;
    struct mailbox mailbox;
    /* Of the outbound thread: */
    struct turn_hook end_of_turn;
    struct outbound_socket **sockets; /* by descriptor */
    size_t socket_cap;
    struct list_link targets; /* that have been called */
    struct list_link news;    /* calls with something for their callers */
    struct mail stop;
    bool stopping;
};

/* What goes to the caller in one piece of mail. */
struct call_news {
    struct mail mail;
    struct outbound_call *call;
    bool has_head;
    bool has_end;
    int status;
    enum outbound_result result;
    uint64_t duration_us;
    uint32_t head_len[OUTBOUND_FIELDS_MAX + 1]; /* content type, then the fields */
    uint32_t text_len;
    size_t body_len;
    struct buf bytes; /* texts of the head, body, text of the end */
};

struct outbound_call {
    struct mail start;
    struct mail cancel;
    struct mail more;
    atomic_uint refs;
    atomic_size_t acked;
    atomic_bool paused;      /* the transfer waits for acked to grow */
    atomic_bool more_posted; /* more is on its way */
    atomic_bool finished;    /* nothing is posted to the outbound thread any more */
    bool cancelled;          /* of the caller's thread */
    struct outbound *outbound;
    struct outbound_target *target; /* a reference until the call has finished */
    struct mailbox *reply_to;
    const struct outbound_ops *ops;
    void *owner;
    /* Of the outbound thread: */
    struct list_link link;      /* in the target's waiting or active calls */
    struct list_link news_link; /* in outbound->news while news is there */
    struct call_news *news;
    struct transfer *transfer; /* NULL: waits */
    struct timer timer;
    bool probe;
    int status;          /* 0: no head yet */
    uint64_t started_us; /* by the turn's clock, for deadlines */
    uint64_t came_us;    /* by the clock itself, for the duration */
    uint64_t part_us;    /* when the last part came, or the request went out */
    size_t sent;         /* bytes of the body passed to the caller */
    /* The request. All texts are in the same allocation; each has a NUL after it. */
    struct curl_slist *fields;
    struct str method;
    struct str suffix;
    struct str body;
    struct str id;
};

/* One easy handle. */
struct transfer {
    CURL *easy;
    struct outbound_target *target; /* owns it while it is idle; the call's reference otherwise */
    struct outbound_call *call;     /* NULL: idle */
    struct list_link link;          /* in target->idle */
    bool has_method;                /* CURLOPT_CUSTOMREQUEST is set */
    bool has_url;                   /* CURLOPT_URL is that of a suffix */
    bool in_body;
    bool is_too_large;
    bool is_invalid;
    int status;
    unsigned attempts; /* to send the request: libcurl does it again if a connection that was kept turns out dead */
    size_t head_bytes;
    uint64_t body_bytes;
    struct buf head[OUTBOUND_FIELDS_MAX + 1];
    char why[CURL_ERROR_SIZE];
};

struct outbound_target {
    struct mail release; /* to the outbound thread, when the last reference has gone */
    atomic_uint refs;
    struct outbound *outbound; /* NULL: it has ended */
    struct str name;
    struct str url; /* each has a NUL after it */
    size_t path_end;
    struct str ca_file;
    uint32_t connect_timeout_ms;
    uint64_t part_timeout_us;
    uint64_t timeout_us;
    uint32_t in_flight_max;
    uint32_t waiting_max;
    uint64_t answer_max_bytes;
    bool http2;
    struct str fields[OUTBOUND_FIELDS_MAX];
    size_t field_count;
    unsigned label; /* of the metrics */
    /* Of the outbound thread: */
    bool is_known;         /* is in outbound->targets */
    struct list_link link; /* in outbound->targets */
    CURLM *multi;          /* NULL: it is in no thread */
    struct timer multi_timer;
    bool multi_is_due;
    struct breaker breaker;
    struct list_link active;
    uint32_t in_flight;
    struct list_link waiting;
    uint32_t waiting_count;
    struct list_link idle; /* transfers */
};

/* str_pack, with a NUL behind the text. */
static inline struct str pack_text(char **at, struct str text)
{
    struct str packed = str_pack(at, text);
    *(*at)++ = '\0';
    return packed;
}

/* --- call.c --- */
/* Checks the request and copies it, with a reference to its target. */
enum err call_make(struct outbound *outbound, const struct outbound_request *request, struct outbound_call **out,
                   struct error *error);

/* --- call_answer.c --- */
/* Gathers for the next mail to the caller. fields: content type, then those of the target. */
void call_add_head(struct outbound_call *call, int status, const struct buf *fields);
void call_add_body(struct outbound_call *call, struct str part);
/* The last thing: nothing may be added to the call after it. */
void call_add_end(struct outbound_call *call, enum outbound_result result, int status, struct str text,
                  uint64_t duration_us);
/* Posts what has been gathered for all calls. */
void call_post_news(struct outbound *outbound);
/* Bytes of the body that the caller has not acknowledged. */
size_t call_unacked(const struct outbound_call *call);
void call_release(struct outbound_call *call);

/* --- multi.c --- */
/* Each target has its own: libcurl looks at all connections of a handle to one host and port before it picks one. A
 * target whose backend does not answer must not cost the calls of another at the same place. */
void multi_open(struct outbound_target *target);
/* All transfers have been removed. The loop must run once more. */
void multi_close(struct outbound_target *target);
/* The sockets of the handle's connections are polled by this loop. */
void multi_use_sockets(struct outbound_target *target, CURL *easy);
/* Lets libcurl do what is due now. */
void multi_run(struct outbound_target *target);

/* --- transfer.c --- */
/* With the settings of the target that no call changes. */
struct transfer *transfer_create(struct outbound_target *target);
void transfer_destroy(struct transfer *transfer);
/* Sets what differs from call to call. */
void transfer_prepare(struct transfer *transfer, struct outbound_call *call);
/* libcurl counts the attempts of a handle over all its calls, and gives up after five. So a handle that made more than
 * one is not used again. */
bool transfer_is_reusable(const struct transfer *transfer);
/* What libcurl's result means. *out_text is borrowed from the transfer, and empty after OUTBOUND_OK. */
enum outbound_result transfer_result(struct transfer *transfer, CURLcode code, struct str *out_text);

/* --- target.c --- */
/* See outbound_target_create; starts no thread. */
enum err target_make(struct outbound *outbound, const struct outbound_target_options *options,
                     struct outbound_target **out, struct error *error);
void target_put_idle(struct outbound_target *target, struct transfer *transfer);
struct transfer *target_take_idle(struct outbound_target *target);
/* The outbound thread, which is about to end: the target forgets it. */
void target_forget_thread(struct outbound_target *target);

/* --- dispatch.c --- */
void dispatch_start(struct mail *mail, void *owner);
void dispatch_cancel(struct mail *mail, void *owner);
void dispatch_more(struct mail *mail, void *owner);
/* At the end of each turn. */
void dispatch_turn(struct outbound *outbound);
/* The end of the thread: all calls end. */
void dispatch_stop(struct outbound *outbound);

#endif
