/* count_membership.c - sessions come, subscribe, unsubscribe and go, while others are there. Each command is counted
 * from the client's text to the written answer. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/instructions/crowd.h"
#include "bench/instructions/measure.h"
#include "common/base/alloc.h"

/* So many do what is counted: as many as there may be in one turn. */
enum { MOVERS = 1000 };

#define ROOM "bench:room"

#define SUBSCRIBE   STR("{\"type\":\"subscribe\",\"id\":7,\"data\":{\"channel\":\"" ROOM "\"}}")
#define UNSUBSCRIBE STR("{\"type\":\"unsubscribe\",\"id\":7,\"data\":{\"channel\":\"" ROOM "\"}}")

static void say_all(struct crowd *crowd, struct session **sessions, const size_t *order, struct str command)
{
    for (size_t i = 0; i < MOVERS; i++)
        crowd_say(crowd, sessions[order[i]], command);
    crowd_settle(crowd);
}

/* A count of commands that are refused would count nothing. */
static void must_have(struct crowd *crowd, size_t subscribers)
{
    const struct channel *room = hub_channel(crowd->hub, STR(ROOM));
    if (!room || channel_subscribers(room) != subscribers) {
        fprintf(stderr, "%zu subscribers are expected\n", subscribers);
        abort();
    }
}

static struct session **gather(struct crowd *crowd, size_t count)
{
    struct session **sessions = crowd_open_many(crowd, count);
    for (size_t i = 0; i < count; i++) {
        crowd_subscribe(crowd, sessions[i], STR(ROOM));
        crowd_settle(crowd);
    }
    return sessions;
}

/* Members of a large channel go and come again, one by one, in no order. */
static void count_churn(struct crowd *crowd, struct session **present, size_t count)
{
    measure_from();
    for (size_t i = 0; i < MOVERS; i++) {
        struct session *session = present[measure_random(count)];
        crowd_say(crowd, session, UNSUBSCRIBE);
        crowd_say(crowd, session, SUBSCRIBE);
    }
    crowd_settle(crowd);
    measure_to_number("unsubscribe_and_subscribe", "subscribers", count, MOVERS);
    must_have(crowd, count);
}

static void count_subscribers(size_t count)
{
    struct crowd crowd;
    crowd_init(&crowd, 1);
    struct session **present = gather(&crowd, count);
    struct session **movers = crowd_open_many(&crowd, MOVERS);
    size_t *order = measure_shuffled(MOVERS);
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        say_all(&crowd, movers, order, SUBSCRIBE);
        measure_to_number("subscribe", "subscribers", count, MOVERS);
        must_have(&crowd, count + MOVERS);
        measure_from();
        say_all(&crowd, movers, order, UNSUBSCRIBE);
        measure_to_number("unsubscribe", "subscribers", count, MOVERS);
        must_have(&crowd, count);
        count_churn(&crowd, present, count);
    }
    measure_off();
    crowd_close(&crowd, movers, MOVERS);
    crowd_close(&crowd, present, count);
    free(order);
    free(movers);
    free(present);
    crowd_fini(&crowd);
}

static void count_rules(size_t rules)
{
    struct crowd crowd;
    crowd_init(&crowd, rules);
    struct session **movers = crowd_open_many(&crowd, MOVERS);
    size_t *order = measure_shuffled(MOVERS);
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        say_all(&crowd, movers, order, SUBSCRIBE);
        measure_to_number("subscribe", "rules", rules, MOVERS);
        must_have(&crowd, MOVERS);
        say_all(&crowd, movers, order, UNSUBSCRIBE);
    }
    measure_off();
    crowd_close(&crowd, movers, MOVERS);
    free(order);
    free(movers);
    crowd_fini(&crowd);
}

/* Subscribes each session to the same channels. */
static void fill(struct crowd *crowd, struct session **sessions, size_t session_count, size_t channels)
{
    for (size_t c = 0; c < channels; c++) {
        char name[40];
        snprintf(name, sizeof name, "bench:channel-%zu", c);
        for (size_t i = 0; i < session_count; i++)
            crowd_subscribe(crowd, sessions[i], str_from_cstr(name));
        crowd_settle(crowd);
    }
}

/* From hub_open to the written session_init. */
static void count_open(size_t others)
{
    struct crowd crowd;
    crowd_init(&crowd, 1);
    struct session **present = crowd_open_many(&crowd, others);
    struct session *movers[MOVERS];
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (size_t i = 0; i < MOVERS; i++)
            movers[i] = crowd_open(&crowd);
        hub_flush(crowd.hub);
        measure_to_number("session_open", "other_sessions", others, MOVERS);
        crowd_close(&crowd, movers, MOVERS);
    }
    measure_off();
    crowd_close(&crowd, present, others);
    free(present);
    crowd_fini(&crowd);
}

/* With so many others in the session's channels, and so many channels. */
static void count_close(const char *variable, size_t value, size_t others, size_t channels)
{
    struct crowd crowd;
    crowd_init(&crowd, 1);
    struct session **present = crowd_open_many(&crowd, others);
    fill(&crowd, present, others, channels);
    struct session *movers[MOVERS];
    measure_on();
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < MOVERS; i++)
            movers[i] = crowd_open(&crowd);
        fill(&crowd, movers, MOVERS, channels);
        measure_from();
        crowd_close(&crowd, movers, MOVERS);
        measure_to_number("session_close", variable, value, MOVERS);
    }
    measure_off();
    crowd_close(&crowd, present, others);
    free(present);
    crowd_fini(&crowd);
}

/* Sessions with so many channels of their own subscribe to one more, and leave it. */
static void count_own_channels(size_t channels)
{
    enum { SESSIONS = 20, TIMES = 10 };
    struct crowd crowd;
    crowd_init(&crowd, 1);
    struct session **sessions = crowd_open_many(&crowd, SESSIONS);
    fill(&crowd, sessions, SESSIONS, channels);
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (size_t i = 0; i < (size_t)SESSIONS * TIMES; i++) {
            crowd_say(&crowd, sessions[i % SESSIONS], SUBSCRIBE);
            crowd_say(&crowd, sessions[i % SESSIONS], UNSUBSCRIBE);
        }
        crowd_settle(&crowd);
        measure_to_number("unsubscribe_and_subscribe", "own_channels", channels, (size_t)SESSIONS * TIMES);
    }
    measure_off();
    crowd_close(&crowd, sessions, SESSIONS);
    free(sessions);
    crowd_fini(&crowd);
}

int main(void)
{
    static const size_t subscribers[] = {10, 1000, 10000, 100000};
    static const size_t rules[] = {1, 100, 10000};
    static const size_t others[] = {0, 10000, 100000};
    static const size_t subscriptions[] = {0, 1, 10, 100};
    static const size_t own_channels[] = {1, 100, 10000};
    for (size_t i = 0; i < 4; i++)
        count_subscribers(subscribers[i]);
    for (size_t i = 0; i < 3; i++)
        count_rules(rules[i]);
    for (size_t i = 0; i < 3; i++)
        count_open(others[i]);
    for (size_t i = 0; i < 3; i++)
        count_close("other_sessions", others[i], others[i], 1);
    for (size_t i = 0; i < 4; i++)
        count_close("subscriptions", subscriptions[i], 0, subscriptions[i]);
    for (size_t i = 0; i < 3; i++)
        count_own_channels(own_channels[i]);
    return 0;
}
