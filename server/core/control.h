/* control.h - what a backend asks of sessions and channels: who is here, end them, subscribe them. A question and its
 * answer are plain structs. The same question can go to every worker of every node, and the answers are merged
 * (server/node/survey.h). control_run runs in the hub's thread. The other functions are pure. */
#ifndef CARILLON_CORE_CONTROL_H
#define CARILLON_CORE_CONTROL_H

#include "server/core/hub.h"

enum control_op {
    CONTROL_DISCONNECT,  /* count: sessions ended */
    CONTROL_SUBSCRIBE,   /* count: sessions changed */
    CONTROL_UNSUBSCRIBE, /* count: sessions changed */
    CONTROL_SEND,        /* count: sessions that the message was queued for */
    CONTROL_SESSIONS,    /* a page of sessions */
    CONTROL_SESSION,     /* that session, and a page of its channels */
    CONTROL_CHANNELS,    /* a page of channels with subscribers */
    CONTROL_CHANNEL,     /* that channel, if it has subscribers */
    CONTROL_INFO,        /* count: open sessions */
    CONTROL_OP_COUNT
};

enum { CONTROL_PAGE_MAX = 1000, CONTROL_REASON_MAX = 123 };

/* The texts are borrowed. Members that an operation does not need are empty. */
struct control_request {
    enum control_op op;
    struct str user;       /* DISCONNECT, (UN)SUBSCRIBE, SEND: this user's sessions; SESSIONS: only those */
    struct str session_id; /* DISCONNECT, (UN)SUBSCRIBE, SEND: this session, in place of user; SESSION */
    struct str channel;    /* (UN)SUBSCRIBE, CHANNEL; SEND: its subscribers, in place of user and session_id */
    struct str message;    /* SEND; may be empty */
    bool binary;           /* SEND: a binary message; else text, which is UTF-8 */
    struct str reason;     /* DISCONNECT, with a code: up to CONTROL_REASON_MAX bytes (RFC 6455, 5.5) */
    struct str after;      /* pages: only keys greater than this */
    struct str prefix;     /* CHANNELS: only names that begin so */
    uint64_t code;         /* DISCONNECT: close code; 0: as the endpoint has it for `disconnected` */
    uint64_t limit;        /* pages: at most so many rows, 1 to CONTROL_PAGE_MAX */
};

/* One session (key: its id) or one channel (key: its name). Of a session's channel it has the last four members. */
struct control_row {
    struct str key;
    struct str user;
    struct str address;
    struct str node;       /* of the session; filled in by the survey */
    uint64_t connected_ms; /* wall clock */
    uint64_t expires_ms;   /* 0: never */
    uint64_t channels;
    uint64_t outbox_bytes;
    uint64_t subscribers;
    uint64_t nodes;   /* that have the channel; filled in by the survey */
    struct str epoch; /* empty: the channel has no history, or the session has no position yet */
    uint64_t offset;
    uint64_t subscribed; /* 1: the client has been told so */
    uint64_t recovering; /* 1: it has yet to get what it missed */
};

/* A zeroed one is empty. */
struct control_result {
    uint64_t count;
    bool more;                   /* there are rows after the last one */
    size_t row_count;            /* in order of their keys, each key once */
    struct control_row *rows;    /* one allocation with all texts; NULL when there are none */
    struct control_row *session; /* SESSION: whose channels the rows are, allocated alike; NULL: it is not here */
};

/* Succeeds if the request is complete and within its limits. ERR_INVALID_REQUEST names the member. Requests of backends
 * and of other nodes are checked. */
enum err control_check(const struct control_request *request, struct error *error);

/* How far a hub has come with a question. Zeroed at first. */
struct control_walk {
    bool begun;
    size_t name_len;
    char name[CHANNEL_NAME_MAX]; /* of the last session or channel that was looked at */
};

/* Does to this hub what is asked, and adds the answer to *out. control_check has passed. *out is zeroed at first, and
 * the caller frees it with control_result_fini. False: a part is done. Call again in another turn, with the same
 * arguments. */
bool control_run(struct hub *hub, const struct control_request *request, struct control_walk *walk,
                 struct control_result *out);

/* Adds the answer of another hub or node. Counts are added up, and so are the numbers of rows with the same key. The
 * first `limit` rows of both are kept. Each answer has its own first `limit` rows, so the page is right. The session is
 * that of the answer which has one. */
void control_result_merge(struct control_result *into, const struct control_result *from, uint64_t limit);
/* Adds copies of rows. Their keys come after all keys of the result. */
void control_result_append(struct control_result *result, const struct control_row *rows, size_t count);
/* Sets the session to a copy. The result has had none. */
void control_result_set_session(struct control_result *result, const struct control_row *session);
void control_result_fini(struct control_result *result);

/* How many bytes the request's texts take, and a copy of the request whose texts lie in room. */
size_t control_request_room(const struct control_request *request);
void control_request_copy(struct control_request *out, const struct control_request *request, char *room);

#endif
