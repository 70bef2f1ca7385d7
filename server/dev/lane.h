/* lane.h - one direction of a connection, as a bad network treats it: what passes may be late, slow, held for a while
 * or in another order. Without a fault an item passes at once, and the lane costs nothing. All other items keep their
 * order: an item that comes later waits behind those that are held. The lane knows no sockets and no sessions; its
 * owner passes the items on. Time is that of the wheel. One thread. */
#ifndef CARILLON_DEV_LANE_H
#define CARILLON_DEV_LANE_H

#include "common/base/str.h"
#include "common/base/wheel.h"
#include "common/protocol/ws_frame.h"

/* So much a lane holds without a word, as the buffers of a kernel do. Over it the owner lets its source wait. */
enum { LANE_BUFFER = 65536 };

/* One frame, or a part of one. The texts are borrowed in lane_put, and lie behind the item while it is held. */
struct lane_item {
    struct list_link link;
    enum ws_opcode opcode;
    bool silent;        /* no frame of its own: a part of one, or what is left of it */
    struct str bytes;   /* what passes */
    struct str payload; /* of the frame, for the journal */
    uint64_t due_us;    /* it passes no sooner */
    size_t passed;      /* bytes that have passed already */
};

struct link_lane;

struct lane_ops {
    /* Does the other side take anything now? When it does again, the owner calls lane_pump. */
    bool (*ready)(struct link_lane *lane);
    /* Passes the item's next `count` bytes. It may not put anything into this lane. */
    void (*pass)(struct link_lane *lane, const struct lane_item *item, size_t count);
    /* The lane has passed something by itself, as its time had come. */
    void (*moved)(struct link_lane *lane);
};

struct link_lane {
    const struct lane_ops *ops;
    struct wheel *wheel;
    uint64_t pool_us; /* when those in pool go, however few they are */
    uint64_t thaw_us; /* 0: not by itself */
    uint64_t credit;  /* millionths of a byte that may pass now */
    uint64_t credited_us;
    struct timer timer;
    struct list_link pool; /* struct lane_item, of those that are to be reordered */
    /* What each item asks for, at the end: whoever has the lane in a struct puts its own such members behind it. */
    struct list_link held; /* struct lane_item, the next one first */
    size_t pooled;         /* how many are in pool */
    size_t bytes;          /* held, in held and in pool */
    uint64_t bytes_per_s;  /* 0: as fast as can be */
    bool frozen;
};

void lane_init(struct link_lane *lane, const struct lane_ops *ops, struct wheel *wheel);
/* Drops what is held. */
void lane_fini(struct link_lane *lane);

/* Nothing is held, and the next item passes at once. */
bool lane_is_clear(const struct link_lane *lane);

/* Passes a copy of the item once all those before it have passed, and not before item->due_us. */
void lane_put(struct link_lane *lane, const struct lane_item *item, uint64_t now_us);
/* Keeps a copy of the item until there are `window` of them, or until so much time is over since the first one. Then
 * they go in an order drawn at random, and never in their own. Other items pass them. */
void lane_pool(struct link_lane *lane, const struct lane_item *item, size_t window, uint64_t within_us,
               uint64_t now_us);

/* Nothing passes for so long; UINT64_MAX: until lane_thaw. */
void lane_freeze(struct link_lane *lane, uint64_t for_us, uint64_t now_us);
void lane_thaw(struct link_lane *lane, uint64_t now_us);
/* 0: no more. */
void lane_throttle(struct link_lane *lane, uint64_t bytes_per_s, uint64_t now_us);

/* Neither frozen nor slow any more. What is held passes now. */
void lane_calm(struct link_lane *lane, uint64_t now_us);

/* Passes what may pass now. */
void lane_pump(struct link_lane *lane, uint64_t now_us);
/* The same, in the wheel's next tick. */
void lane_wake(struct link_lane *lane, uint64_t now_us);

#endif
