/* connection.h - a connection that speaks HTTP: requests in, answers out, deadlines, a polite end. A connection costs
 * one object and bounded buffers, whatever the peer does. A stream carries its bytes (stream.h), in plaintext or by
 * TLS. connection_ops reads the requests. One thread: the worker's. */
#ifndef CARILLON_NET_HTTP_CONNECTION_H
#define CARILLON_NET_HTTP_CONNECTION_H

#include "common/protocol/http_chunked.h"
#include "server/net/entry/entry.h"
#include "server/net/http/connection_set.h"
#include "server/net/stream/stream.h"

enum connection_stage {
    STAGE_REQUEST, /* reading a head, a body */
    STAGE_ENTER,   /* admitted; an entry step has yet to answer */
    STAGE_SERVE,   /* the handler has the call */
    STAGE_WRITE,   /* the kernel has not taken the whole answer yet; then the next request */
    STAGE_LINGER,  /* answered for good; reading until the peer has seen it */
    STAGE_CLOSED,
};

struct connection {
    struct connection_set *set;
    struct list_link link; /* in set->connections; in set->spent once it has been handed over */
    struct stream stream;
    enum connection_stage stage;
    bool internal;
    struct address client; /* the peer, or the client that a trusted proxy has named */
    struct pending_place pending;
    struct lease lease; /* its places in the limits */
    struct timer deadline;
    struct buf in;      /* bytes of the present request and what follows it */
    struct buf early;   /* bytes that came while a request was being served */
    size_t scanned;     /* of the head */
    size_t request_len; /* head and body, once both lengths are known; else 0 */
    size_t chunks_from; /* while a chunked body is read: where it began, behind the head; else 0 */
    struct http_chunked chunked;
    size_t held;    /* bytes counted under the limit of all request bodies */
    bool started;   /* the deadline of a later head runs; that of the first head runs from the beginning */
    bool last;      /* linger after what is being written */
    size_t drained; /* bytes read and thrown away while lingering */
    /* http.c: */
    struct http_call call;
    char address[ADDRESS_TEXT_LEN + 1];
    char address_key[ADDRESS_KEY_LEN + 1];
    struct entry entry; /* gate.c's */
    bool admitted;      /* the handler has seen the call's head, and its body is being read */
    bool call_pending;  /* the call is the handler's: this object must stay */
    bool in_handler;
    bool pushed; /* the answer has been begun (http_call.push) */
    bool keep_alive;
    bool old_version; /* HTTP/1.0 */
    bool head_only;
    bool under_way; /* counted in set->calls */
    int late_fd; /* -1; the socket of a peer that ended its side while its call was being served, or of a call that is
                    not answered when the node ends. The stream has gone. */
};

/* Begins a connection whose client is known. Takes fd. due_us: when the first request head must have come. first: bytes
 * of the client that have been read from the socket already. */
void connection_open(struct connection_set *set, int fd, bool internal, const struct address *client, uint64_t due_us,
                     struct str first);

/* Writes an answer. Then: STAGE_WRITE if the kernel did not take all of it; else STAGE_LINGER if it is the last answer;
 * else the next request. */
void connection_answer(struct connection *connection, struct str bytes, bool last);
/* Answers with an error, and ends the connection politely. message: NULL for the code's general text. */
void connection_refuse(struct connection *connection, int status, enum err code, const char *message);
/* Answers a call whose connection has been closed meanwhile, as the node ends. The peer gets as much of the answer as
 * the kernel takes. So does a peer that has ended its side. */
void connection_answer_late(struct connection *connection, struct str bytes);
/* The call has been answered later: reads the requests that came meanwhile. If the peer has ended its side and none is
 * left, the connection is closed. */
void connection_go_on(struct connection *connection);
/* Writes without a change of stage; for 100 Continue. */
void connection_send(struct connection *connection, struct str bytes);
/* The present stage may take so long from now on. */
void connection_start_deadline(struct connection *connection, uint64_t timeout_us);
/* For the internal listener: the head of a request has come. The connection counts in set->calls from now on. */
void connection_begin_call(struct connection *connection);
/* The kernel has taken the answer, and nothing more has come. The end of the connection makes this call too. */
void connection_end_call(struct connection *connection);
/* For the internal listener: the first request has come, so the connection counts under max_internal and is no longer
 * pending. False: the limit is reached. */
bool connection_take_place(struct connection *connection);
/* An entry step decides from now on: STAGE_ENTER. The deadline of the request goes on. The connection counts as a
 * session already, so it no longer counts as pending. */
void connection_await_entry(struct connection *connection);
/* The step has answered: STAGE_REQUEST again. Bytes that came meanwhile follow the request. */
void connection_resume(struct connection *connection);
/* Counts a request body of so many bytes under the limit of all bodies. False: the limit is reached. */
bool connection_hold(struct connection *connection, size_t bytes);
void connection_hold_none(struct connection *connection);
/* The caller moves the stream to another owner before it returns to the loop. It gets the lease. The object and its
 * bytes last until the end of the turn. */
struct lease connection_hand_over(struct connection *connection);
void connection_close(struct connection *connection);
/* Ends all connections of the set, and each that still arrives. A call that the handler has is answered afterwards. A
 * request whose body has yet to come is refused with 503. */
void connection_close_all(struct connection_set *set);
/* The node drains. Clients that wait for an entry step are refused. Connections of the internal listener that have no
 * request end. set->draining follows. Call it outside of stream_ops. */
void connection_drain_all(struct connection_set *set);
/* All deadlines come so much later. For a server whose clock is moved: HTTP goes on in real time. */
void connection_postpone_all(struct connection_set *set, uint64_t us);
/* Frees a closed connection once nothing needs it any more. */
void connection_free_if_done(struct connection *connection);
/* Call at the end of a turn: frees the connections that have been handed over. */
void connection_free_spent(struct connection_set *set);

#endif
