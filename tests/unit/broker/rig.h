/* rig.h - a loop with one or more brokers on it. Each broker's messages to its node are kept, for the tests to look
 * at. */
#ifndef CARILLON_TESTS_BROKER_RIG_H
#define CARILLON_TESTS_BROKER_RIG_H

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/mailbox.h"
#include "server/broker/broker.h"
#include "server/core/ticket.h"
#include "tests/support/unit.h"

struct rig {
    uv_loop_t loop;
    struct turn turn;
    uv_timer_t ticker; /* so that the loop turns while a test waits */
};

void rig_init(struct rig *rig);
/* Fails unless everything on the loop has been closed. */
void rig_fini(struct rig *rig);

/* Turns the loop until the condition holds. Fails after five minutes, which a busy machine never needs. */
#define RIG_WAIT(rig, condition)                                                                                       \
    do {                                                                                                               \
        uint64_t rig_end_us = clock_now_us() + 300000000;                                                              \
        while (!(condition)) {                                                                                         \
            if (clock_now_us() > rig_end_us)                                                                           \
                fail_msg("five minutes passed without: %s", #condition);                                               \
            uv_run(&(rig)->loop, UV_RUN_ONCE);                                                                         \
        }                                                                                                              \
    } while (0)

enum {
    SEEN_EVENTS_MAX = 20000,
    SEEN_ANSWERS_MAX = 20000,
    SEEN_SUBSCRIBED_MAX = 20000,
    SEEN_TEXT = 64,
    TICKETS_KEPT = 64
};

struct seen_event {
    char channel[SEEN_TEXT], type[SEEN_TEXT], id[SEEN_TEXT], epoch[SEEN_TEXT], timestamp[SEEN_TEXT], data[SEEN_TEXT];
    uint64_t offset;
};

struct seen_answer {
    enum err err;
    char event_id[SEEN_TEXT], text[200], id[SEEN_TEXT], epoch[SEEN_TEXT];
    uint64_t offset, retry_after_ms;
    bool duplicate;
};

struct seen_subscribed {
    char channel[SEEN_TEXT], epoch[SEEN_TEXT], id[SEEN_TEXT];
    enum err err;
    uint64_t offset;
    size_t events_before; /* how many events had been seen */
};

/* A node's side of one broker. */
struct node {
    struct broker *broker;
    struct metrics *metrics;
    bool closed;
    struct broker_info info;
    size_t states;
    bool calling; /* an operation is running: published must not come */
    struct seen_event *events;
    size_t event_count;
    struct seen_answer *answers;
    size_t answer_count;
    size_t refused;
    struct seen_subscribed subscribed[SEEN_SUBSCRIBED_MAX];
    size_t subscribed_count;
    struct seen_subscribed located; /* the last one */
    size_t located_count;
    char control[256];
    size_t control_count;
    char revoked[256];
    size_t revoked_count;
    size_t revocation_lists; /* told to the end */
    char page[1024];
    char page_ids[2 * SEEN_TEXT]; /* of the last event, and of the one before the page */
    size_t page_count;
    char tickets[TICKETS_KEPT][512]; /* "held", "done resume chat t1 {} positions", "unavailable"; see node_ticket */
    size_t ticket_count;
    size_t tickets_used; /* answers that give a ticket */
};

extern const struct broker_sink node_sink;

void node_init(struct node *node);
/* Closes the broker, once. */
void node_close(struct node *node, struct rig *rig);
/* Closes and destroys the broker, and frees what was seen. */
void node_fini(struct node *node, struct rig *rig);

void node_publish(struct node *node, const char *channel, const char *data, const char *event_id, uint64_t history);
void node_subscribe(struct node *node, const char *channel, uint64_t history);
void node_unsubscribe(struct node *node, const char *channel);
/* A page of history as text: "9:4,5,6+" is offsets 4 to 6 of a channel at 9, with more to come. limit 10, max_bytes as
 * given. Checks that each event is the one that was seen with that offset, if it was seen. */
const char *node_history(struct node *node, struct rig *rig, const char *channel, bool backwards, uint64_t from,
                         size_t max_bytes);
/* Publishes 20 events to "paged" and reads them in all ways. */
void node_check_paging(struct node *node, struct rig *rig);
/* The answer about tickets of that index (from 0), which is one of the last TICKETS_KEPT. */
const char *node_ticket(const struct node *node, size_t index);
/* The answer of that index (from 0), waited for. */
const struct seen_answer *node_answer(struct node *node, struct rig *rig, size_t index);
/* Checks the two ids that came with the last page: of the channel's last event, and of the event before the page.
 * They must be those of the publications of these indices (below 0: none). */
void node_check_page_ids(const struct node *node, int last, int before);
uint64_t node_metric(const struct node *node, enum metric metric);

#endif
