/* lifecycle_event.h - lifecycle events: what happens to sessions, channels, members, tickets and tokens, told to
 * backends. Here are an event, its form, and what is asked of the broker. The node collects the events
 * (node/lifecycle.h).
 *
 * An event is a CloudEvent 1.0 in JSON. The broker appends the events to one stream, in the order in which the node
 * gives them, and numbers them from 1. The broker also knows which sessions and channels are open at each node. So when
 * a node dies, the broker can tell their ends. */
#ifndef CARILLON_CORE_LIFECYCLE_EVENT_H
#define CARILLON_CORE_LIFECYCLE_EVENT_H

#include "common/base/buf.h"
#include "server/core/request.h"

enum lifecycle_type {
#define LIFECYCLE(symbol, text) LIFECYCLE_##symbol,
#include "common/protocol/lifecycle_types.def"
#undef LIFECYCLE
    LIFECYCLE_COUNT
};

/* "session.opened". */
const char *lifecycle_type_text(enum lifecycle_type type);

/* What an event means for what is open at the node. */
enum lifecycle_action {
    LIFECYCLE_TELL,   /* nothing */
    LIFECYCLE_OPEN,   /* the session `key` is open */
    LIFECYCLE_STEP,   /* the open session `key` has come to that sequence */
    LIFECYCLE_CLOSE,  /* the session `key` is open no more */
    LIFECYCLE_OCCUPY, /* the node has subscribers of the channel `key`. Told if no other node had any */
    LIFECYCLE_VACATE, /* the node has none any more. Told if no other node has any */
};

struct lifecycle_event {
    struct mail mail;
    struct list_link link;
    void *owner; /* of the mail; the maker's own */
    enum lifecycle_type type;
    enum lifecycle_action action;
    uint64_t sequence;  /* of the session's events, from 1; 0: it is of no session */
    uint64_t opened_ms; /* OPEN: wall clock */
    struct str key;     /* the texts lie in bytes */
    struct str json;
    struct str about; /* OPEN: JSON members of the session; OCCUPY: the channel as JSON. For others to tell the end */
    char bytes[];
};

/* Copies the texts. Freed by free(). The rest is zero. */
struct lifecycle_event *lifecycle_event_create(enum lifecycle_type type, enum lifecycle_action action, struct str key,
                                               struct str json, struct str about);
/* Bytes that the event takes. */
size_t lifecycle_event_cost(const struct lifecycle_event *event);

/* One event in JSON. */
struct lifecycle_head {
    enum lifecycle_type type;
    struct str node;    /* its id */
    struct str id;      /* of the event; empty: <subject>.<sequence> */
    struct str subject; /* session, channel, user or token */
    uint64_t sequence;  /* of the session's events, from 1; 0: the subject is no session */
    uint64_t wall_ms;
};

/* Appends the event. data: the members of its data, without braces. */
void lifecycle_write_json(struct buf *out, const struct lifecycle_head *head, struct str data);
/* Whether a text of the stream is such an event, by how it begins and ends: others may write to the stream. To parse it
 * would cost as much as all else that is done to send it on. */
bool lifecycle_is_event(struct str json);

/* --- requests ----------------------------------------------------------------------------------------------------- */

enum { LIFECYCLE_BATCH_MAX = 128, LIFECYCLE_STREAM_MAX = 255 };

/* Appends a batch of events, and says that the node is alive. All is done, or nothing. The same batch may be asked for
 * again: it is done once. */
struct lifecycle_write {
    struct request base;
    char stream[LIFECYCLE_STREAM_MAX + 1]; /* its key, without the prefix of Carillon's own keys */
    uint64_t max_len;                      /* about so many events stay */
    uint64_t max_bytes;                    /* a broker without Redis: they take so many bytes at most */
    uint64_t round;                        /* what is open at the node is told anew in each round, from 1 */
    uint64_t before;                       /* the round before it, of which something may be left to be told; 0: none */
    uint64_t number;                       /* of the batch in the round, from 1 */
    size_t count;
    struct lifecycle_event *events[LIFECYCLE_BATCH_MAX];
    bool known; /* the answer; false: the broker does not know the round any more, and nothing was done */
};

/* Tells the ends of sessions and channels of nodes that are dead, some at a time. Each end is told by one node. */
struct lifecycle_lost {
    struct request base;
    char stream[LIFECYCLE_STREAM_MAX + 1];
    uint64_t max_len;
    uint64_t told; /* the answer: events */
    bool more;     /* there are others */
};

/* Reads the stream for the one node that sends the events on by HTTP. */
struct lifecycle_read {
    struct request base;
    char stream[LIFECYCLE_STREAM_MAX + 1];
    uint64_t limit;       /* events; 0: none, to stay the reader */
    uint64_t reader_ms;   /* this node stays the reader for so long */
    char done[48];        /* place of the last event that is sent; "": nothing new */
    char asked[48];       /* the asker's own */
    uint64_t done_number; /* its number; the answer: that of the last event here */
    /* The answer. */
    bool is_reader;       /* false: another node is */
    uint64_t last_number; /* of the last event that is sent; 0: none yet */
    uint64_t number;      /* of the first event here */
    size_t count;         /* events here */
    uint64_t entries;     /* that were read; others may write to the stream. As many as limit: there may be more */
    char last[48];        /* place of the last event here */
    struct buf events;    /* JSON, joined by commas */
};

/* Zeroed but for base.kind and the stream, of at most LIFECYCLE_STREAM_MAX bytes. */
struct lifecycle_write *lifecycle_write_create(struct str stream);
struct lifecycle_lost *lifecycle_lost_create(struct str stream);
struct lifecycle_read *lifecycle_read_create(struct str stream);

static inline struct lifecycle_write *lifecycle_write_of(struct request *request)
{
    return CONTAINER_OF(request, struct lifecycle_write, base);
}

static inline struct lifecycle_lost *lifecycle_lost_of(struct request *request)
{
    return CONTAINER_OF(request, struct lifecycle_lost, base);
}

static inline struct lifecycle_read *lifecycle_read_of(struct request *request)
{
    return CONTAINER_OF(request, struct lifecycle_read, base);
}

#endif
