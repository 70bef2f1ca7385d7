/* outbound.h - HTTP requests of this node to backends. One thread does them all, with a libcurl multi handle for each
 * target. It runs from the first target on: a node without targets has no such thread. This folder knows no sessions
 * and no configuration.
 *
 * A call:
 * 1. Any thread starts it: outbound_start copies everything into one allocation and posts it to the outbound thread.
 * 2. The answer comes as mail to request.reply_to, so the functions of struct outbound_ops run in the thread of that
 *    mailbox: head (if an answer came), body (any number of times), end (always, and last).
 * 3. The call exists until end returns, or until outbound_cancel.
 *
 * What every call has, and no option changes: redirects are not followed, proxies of the environment are ignored, no
 * "Expect: 100-continue", no cookies, no credentials, no decompression; only http and https. The body of the answer is
 * what the backend sent, without its transfer coding (RFC 9112, 7).
 *
 * A request can reach the backend more than once: if a connection that was kept ends before the answer begins, libcurl
 * sends the request again on another one, up to five times. So give requests an id that the backend can compare.
 *
 * Everything is bounded: calls in flight and waiting (target), the time of each step (target), the answer's head (64
 * KiB), its body (target), and the part of the body that the caller has not taken (OUTBOUND_WINDOW). */
#ifndef CARILLON_OUTBOUND_OUTBOUND_H
#define CARILLON_OUTBOUND_OUTBOUND_H

#include "common/base/error.h"
#include "common/base/mailbox.h"
#include "common/metrics/metrics.h"
#include "server/outbound/breaker.h"

struct outbound;
struct outbound_target;
struct outbound_call;

/* --- the thread --------------------------------------------------------------------------------------------------- */

/* Makes no thread yet. metrics is counted in by the outbound thread alone; borrowed until outbound_destroy. */
struct outbound *outbound_create(struct metrics *metrics);

/* Calls that have not ended: those that wait, and those in flight. Any thread. Draining waits until it is 0. */
size_t outbound_calls(const struct outbound *outbound);

/* Ends the thread, and waits for it. Calls that have not ended end with OUTBOUND_CANCELLED, so their mailboxes must
 * still be open; their owners deliver that mail afterwards, and may start other calls then, which end in the same way.
 * No other thread may call anything here from now on. */
void outbound_stop(struct outbound *outbound);

/* Stops it first, if it has not been stopped. From now on only outbound_target_unref may be called, and outbound_cancel
 * and outbound_more for a call whose end has not been delivered yet: the two do nothing then. NULL: nothing. */
void outbound_destroy(struct outbound *outbound);

/* --- targets ------------------------------------------------------------------------------------------------------ */

enum {
    OUTBOUND_WINDOW = 64 * 1024, /* bytes of a body that may be on their way to the caller */
    OUTBOUND_FIELDS_MAX = 8,     /* answer fields that a target may ask for, besides Content-Type */
};

/* Where to, and what may be asked of it. Zero means the default, where one is named. All texts are copied. */
struct outbound_target_options {
    struct str name;             /* of the upstream: for the log and the label `upstream` of the metrics */
    struct str url;              /* http or https, host, port, path, query; no user and no fragment */
    uint32_t connect_timeout_ms; /* DNS, TCP and TLS. Default 5 s */
    uint32_t part_timeout_ms;    /* until the answer begins, and between two parts of it. Default 25 s */
    uint32_t timeout_ms;         /* the whole call, with its time of waiting. Default 5 min */
    uint32_t in_flight;          /* calls at once. Default 512 */
    uint32_t waiting;            /* calls that wait because in_flight are there. Default 4096 */
    uint64_t answer_max_bytes;   /* of one answer's body. Default 16 MiB */
    uint32_t breaker_failures; /* consecutive failures that open the breaker. Default 20; OUTBOUND_NO_BREAKER: never */
    uint32_t breaker_open_ms;  /* then calls are refused so long; after that one call tries. Default 5 s */
    struct str ca_file;        /* PEM; empty: the CAs of the system */
    bool http2;                /* offer HTTP/2 by ALPN; plain http stays HTTP/1.1 */
    const struct str *fields;  /* names of answer fields that the caller wants, at most OUTBOUND_FIELDS_MAX */
    size_t field_count;
};
#define OUTBOUND_NO_BREAKER UINT32_MAX

/* ERR_INVALID_REQUEST if the URL is not one of those above, or the CA file cannot be read. Any thread; starts none. */
enum err outbound_target_check(const struct outbound_target_options *options, struct error *error);

/* Thread of outbound_create. Fails as outbound_target_check does. The first target starts the thread. The caller has
 * one reference.
 *
 * A target has its own breaker, its own limits and its own connections. So keep the target while its options stay the
 * same. A connection is used for at most 60 s after it was made; then DNS is asked again. */
enum err outbound_target_create(struct outbound *outbound, const struct outbound_target_options *options,
                                struct outbound_target **out, struct error *error);
/* Any thread. Each call has a reference of its own. */
struct outbound_target *outbound_target_ref(struct outbound_target *target);
void outbound_target_unref(struct outbound_target *target); /* NULL: nothing */

/* --- calls -------------------------------------------------------------------------------------------------------- */

enum outbound_result {
    OUTBOUND_OK,           /* a whole answer came, of whatever status */
    OUTBOUND_REFUSED,      /* no connection: refused, unreachable, or no TCP and TLS within connect_timeout */
    OUTBOUND_DNS,          /* the name has no address */
    OUTBOUND_TLS,          /* handshake or certificate */
    OUTBOUND_TIMEOUT,      /* part_timeout or timeout */
    OUTBOUND_RESET,        /* the connection ended before the answer did */
    OUTBOUND_INVALID,      /* what came is not HTTP */
    OUTBOUND_TOO_LARGE,    /* head or body of the answer */
    OUTBOUND_BREAKER_OPEN, /* not sent: the backend has just failed too often */
    OUTBOUND_TOO_MANY,     /* not sent: too many calls are waiting */
    OUTBOUND_CANCELLED,    /* the server ends. Not after outbound_cancel, which nothing follows */
    OUTBOUND_RESULT_COUNT
};

struct outbound_head {
    int status; /* 200 to 999; informational answers (1xx) are skipped */
    struct str content_type;
    /* In the order of the target's fields; empty: the answer has none. Of several with one name, the values are joined
     * by ", ". */
    struct str fields[OUTBOUND_FIELDS_MAX];
};

struct outbound_end {
    enum outbound_result result;
    int status;      /* 0: no head came */
    struct str text; /* for the log of the caller: what was wrong. Empty after OUTBOUND_OK */
    uint64_t duration_us;
};

/* All run in the thread of request.reply_to. mailbox_owner is the owner of that mailbox. All texts are borrowed for the
 * call of the function. Each may call outbound_cancel, after which no other follows. */
struct outbound_ops {
    void (*head)(struct outbound_call *call, void *mailbox_owner, const struct outbound_head *head);
    /* part is never empty. Acknowledge it by outbound_more once it has gone on. */
    void (*body)(struct outbound_call *call, void *mailbox_owner, struct str part);
    /* Unacknowledged parts need no acknowledgement any more. The call is freed when this returns. */
    void (*end)(struct outbound_call *call, void *mailbox_owner, const struct outbound_end *end);
};

struct outbound_field {
    struct str name;
    struct str value;
};

/* Borrowed for outbound_start, except reply_to, ops and owner, which the call keeps. */
struct outbound_request {
    struct outbound_target *target;
    struct str method; /* "POST"; HEAD and CONNECT are not supported */
    struct str suffix; /* appended to the target's path, before its query; usually empty. Encoded by the caller */
    const struct outbound_field *fields; /* as they are; Host, Content-Length, Transfer-Encoding, Connection and Expect
                                            are the server's own, and refused */
    size_t field_count;
    struct str body;
    struct str id;            /* printable: names the call in the log of level debug. The caller logs its failures */
    struct mailbox *reply_to; /* open until the call has ended; if it was cancelled, until outbound_stop returns */
    const struct outbound_ops *ops;
    void *owner; /* see outbound_call_owner */
};

/* The thread of reply_to. ERR_INVALID_REQUEST if method, suffix or a field has a character that
 * HTTP does not allow (CR, LF, NUL and others): nothing has begun then, and *out stays. Every other failure comes as
 * the end. No function of ops runs before this has returned. */
enum err outbound_start(struct outbound *outbound, const struct outbound_request *request, struct outbound_call **out,
                        struct error *error);

/* request.owner. */
void *outbound_call_owner(const struct outbound_call *call);

/* The thread of reply_to: bytes of the body have gone on. While OUTBOUND_WINDOW or more have not been acknowledged, the
 * transfer rests, and TCP holds back the backend; part_timeout_ms rests too. */
void outbound_more(struct outbound_call *call, size_t bytes);

/* The thread of reply_to: nothing more of the call is wanted. No function of ops runs any more, and the pointer is
 * invalid from now on. A request that has gone out cannot be called back: its connection is closed. */
void outbound_cancel(struct outbound_call *call);

/* "refused", "too_large": the label of the metrics. */
const char *outbound_result_text(enum outbound_result result);
/* The label of METRIC_UPSTREAM_REQUESTS. status: of the answer, where the result is OUTBOUND_OK. */
unsigned outbound_outcome(enum outbound_result result, int status);
/* What such an end says about the backend. The statuses 502, 503 and 504 are those by which proxies and servers say
 * that they cannot serve at all. Other answers are about the one request. */
enum breaker_verdict outbound_verdict(enum outbound_result result, int status);

#endif
