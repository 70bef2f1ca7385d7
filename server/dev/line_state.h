/* line_state.h - one line, between a session and its WebSocket connection, and what all lines share. The files of a
 * line (line.h, line_out.h, line_in.h, line_faults.h) have it in common, and no other file uses it. */
#ifndef CARILLON_DEV_LINE_STATE_H
#define CARILLON_DEV_LINE_STATE_H

#include "server/core/hub.h"
#include "server/core/observer.h"
#include "server/dev/dev_broker.h"
#include "server/dev/fault_rules.h"
#include "server/dev/journal.h"
#include "server/dev/lane.h"
#include "server/dev/out_frame.h"
#include "server/net/admission/net_transport.h"
#include "server/net/entry/entry.h"

struct line_set {
    struct net_transport transport; /* of all endpoints; each of its sessions has a line */
    struct entry_step step;         /* rules that act at connect */
    struct journal *journal;
    struct out_text newest; /* that went to any session */
    struct dev_broker *broker;
    struct hub *hub;
    struct fault_rules rules;
    struct observer observer;
    struct list_link lines;
    struct list_link gone;     /* their sessions have gone: freed when the next one comes */
    struct list_link promised; /* struct promise of line_step.c */
    size_t promises;
    struct list_link slow; /* struct slow_entry of line_step.c: clients that wait, the first one first */
};

/* An answer that its client is not to get. */
struct lost_answer {
    struct list_link link;
    struct fault_action *action;
    char rule[FAULT_RULE_ID_LEN + 1];
    struct str type; /* of the answer; static */
    struct str id;   /* of the command, as its client wrote it; empty: it had none */
    char bytes[];
};

/* Its table of functions is its own, so that a session leads to its line. */
struct line {
    struct link_lane in;
    struct list_link link;
    struct timer late; /* runs while cut_late */
    /* A delivery touches the last members of out and the first one of ops, and all between. They lie side by side, as
     * those of a session do. */
    struct link_lane out;
    struct list_link lost; /* struct lost_answer */
    uint32_t unsent;       /* bytes that the stream keeps */
    bool broken;           /* the stream takes nothing any more */
    bool ended;            /* what the server has to say is dropped: half_close */
    bool ending;           /* the same, once what is held has gone */
    bool hub_waits;        /* WRITE_PARTIAL was the last answer: hub_writable follows */
    bool hub_holds;        /* it wants no input */
    bool cut_late;         /* the connection is to be cut when the line thaws */
    struct line_set *set;
    struct session *session;     /* NULL before it has been opened, and once it has gone */
    struct journal_party *party; /* owned, as long as the session */
    struct transport_ops ops;
};

static inline struct line *line_of(const struct session *session)
{
    return (struct line *)((uintptr_t)session->ops - offsetof(struct line, ops));
}

static inline uint64_t line_now_us(const struct line *line)
{
    return hub_now_us(line->set->hub);
}

#endif
