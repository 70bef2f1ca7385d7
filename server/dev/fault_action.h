/* fault_action.h - one fault, as somebody has ordered it: {"do":"delay","by":"200ms"}. The list of faults and of their
 * members is in fault_actions.def. Pure. Counted, without locks: one thread. */
#ifndef CARILLON_DEV_FAULT_ACTION_H
#define CARILLON_DEV_FAULT_ACTION_H

#include "common/base/buf.h"
#include "common/json/json.h"
#include "common/protocol/gap.h"
#include "common/protocol/reason.h"

enum fault_kind {
#define FAULT_ACTION(symbol, name, where, members, required) FAULT_##symbol,
#include "server/dev/fault_actions.def"
#undef FAULT_ACTION
    FAULT_KINDS,
};

/* Where a fault may happen, as a set. */
enum fault_where {
    AT_CONNECT = 1, /* a client that has been admitted is about to get its session */
    AT_IN = 2,      /* a message has come from a client */
    AT_OUT = 4,     /* a message goes to a client */
    ON_MESSAGE = 8, /* see fault_actions.def */
};

unsigned fault_where(enum fault_kind kind);

/* A time that has no end. */
#define FAULT_FOREVER UINT64_MAX

/* Members that were not given have their defaults. */
struct fault_action {
    unsigned refs;
    enum fault_kind kind;
    int code;           /* of a close frame; 0: not given */
    int status;         /* of a refusal; 0: not given */
    enum reason reason; /* of a refusal; REASON_NONE: not given */
    enum gap gap;
    enum err error;
    bool warn;
    bool reads, writes; /* the sides that are frozen */
    uint64_t for_us;    /* FAULT_FOREVER: not given */
    uint64_t by_us;
    uint64_t jitter_us;
    uint64_t retry_after_s;
    uint64_t bytes;
    uint64_t bytes_per_s;
    uint64_t after_us;
    size_t copies;
    size_t window;
    struct buf text;    /* the reason of a close frame; empty: not given */
    struct buf channel; /* empty: not given */
    struct buf frame;   /* the text of a message */
    struct buf json;    /* the action as it was given */
    struct buf words;   /* the same for people: "delay by 200ms" */
};

/* Reads an object that has passed json_check. *out has one reference. ERR_INVALID_REQUEST names the member, and says
 * what is possible. */
enum err fault_action_read(struct json_value object, struct fault_action **out, struct error *error);
struct fault_action *fault_action_ref(struct fault_action *action);
void fault_action_unref(struct fault_action *action);

#endif
