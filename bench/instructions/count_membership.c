/* count_membership.c - sessions come, subscribe, unsubscribe and go, while others are there. Each command is counted
 * from the client's text to the written answer. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/instructions/audience.h"
#include "bench/instructions/measure.h"
#include "common/base/alloc.h"

/* So many do what is counted: as many as there may be in one turn. */
enum { MOVERS = 1000 };

#define ROOM "bench:room"

#define SUBSCRIBE   STR("{\"type\":\"subscribe\",\"id\":7,\"data\":{\"channel\":\"" ROOM "\"}}")
#define UNSUBSCRIBE STR("{\"type\":\"unsubscribe\",\"id\":7,\"data\":{\"channel\":\"" ROOM "\"}}")

static void say_all(struct audience *audience, struct session **sessions, const size_t *order, struct str command)
{
    for (size_t i = 0; i < MOVERS; i++)
        audience_say(audience, sessions[order[i]], command);
    audience_settle(audience);
}

/* A count of commands that are refused would count nothing. */
static void must_have(struct audience *audience, size_t subscribers)
{
    const struct channel *room = hub_channel(audience->hub, STR(ROOM));
    if (!room || channel_subscribers(room) != subscribers) {
        fprintf(stderr, "%zu subscribers are expected\n", subscribers);
        abort();
    }
}

static struct session **gather(struct audience *audience, size_t count)
{
    struct session **sessions = audience_open_many(audience, count);
    for (size_t i = 0; i < count; i++) {
        audience_subscribe(audience, sessions[i], STR(ROOM));
        audience_settle(audience);
    }
    return sessions;
}

/* Members of a large channel go and come again, one by one, in no order. */
static void count_churn(struct audience *audience, struct session **present, size_t count)
{
    measure_from();
    for (size_t i = 0; i < MOVERS; i++) {
        struct session *session = present[measure_random(count)];
        audience_say(audience, session, UNSUBSCRIBE);
        audience_say(audience, session, SUBSCRIBE);
    }
    audience_settle(audience);
    measure_to_number("unsubscribe_and_subscribe", "subscribers", count, MOVERS);
    must_have(audience, count);
}

static void count_subscribers(size_t count)
{
    struct audience audience;
    audience_init(&audience, 1);
    struct session **present = gather(&audience, count);
    struct session **movers = audience_open_many(&audience, MOVERS);
    size_t *order = measure_shuffled(MOVERS);
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        say_all(&audience, movers, order, SUBSCRIBE);
        measure_to_number("subscribe", "subscribers", count, MOVERS);
        must_have(&audience, count + MOVERS);
        measure_from();
        say_all(&audience, movers, order, UNSUBSCRIBE);
        measure_to_number("unsubscribe", "subscribers", count, MOVERS);
        must_have(&audience, count);
        count_churn(&audience, present, count);
    }
    measure_off();
    audience_close(&audience, movers, MOVERS);
    audience_close(&audience, present, count);
    free(order);
    free(movers);
    free(present);
    audience_fini(&audience);
}

static void count_rules(size_t rules)
{
    struct audience audience;
    audience_init(&audience, rules);
    struct session **movers = audience_open_many(&audience, MOVERS);
    size_t *order = measure_shuffled(MOVERS);
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        say_all(&audience, movers, order, SUBSCRIBE);
        measure_to_number("subscribe", "rules", rules, MOVERS);
        must_have(&audience, MOVERS);
        say_all(&audience, movers, order, UNSUBSCRIBE);
    }
    measure_off();
    audience_close(&audience, movers, MOVERS);
    free(order);
    free(movers);
    audience_fini(&audience);
}

/* Subscribes each session to the same channels. */
static void fill(struct audience *audience, struct session **sessions, size_t session_count, size_t channels)
{
    for (size_t c = 0; c < channels; c++) {
        char name[40];
        snprintf(name, sizeof name, "bench:channel-%zu", c);
        for (size_t i = 0; i < session_count; i++)
            audience_subscribe(audience, sessions[i], str_from_cstr(name));
        audience_settle(audience);
    }
}

/* From hub_open to the written session_init. */
static void count_open(size_t others)
{
    struct audience audience;
    audience_init(&audience, 1);
    struct session **present = audience_open_many(&audience, others);
    struct session *movers[MOVERS];
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (size_t i = 0; i < MOVERS; i++)
            movers[i] = audience_open(&audience);
        hub_flush(audience.hub);
        measure_to_number("session_open", "other_sessions", others, MOVERS);
        audience_close(&audience, movers, MOVERS);
    }
    measure_off();
    audience_close(&audience, present, others);
    free(present);
    audience_fini(&audience);
}

/* With so many others in the session's channels, and so many channels. */
static void count_close(const char *variable, size_t value, size_t others, size_t channels)
{
    struct audience audience;
    audience_init(&audience, 1);
    struct session **present = audience_open_many(&audience, others);
    fill(&audience, present, others, channels);
    struct session *movers[MOVERS];
    measure_on();
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < MOVERS; i++)
            movers[i] = audience_open(&audience);
        fill(&audience, movers, MOVERS, channels);
        measure_from();
        audience_close(&audience, movers, MOVERS);
        measure_to_number("session_close", variable, value, MOVERS);
    }
    measure_off();
    audience_close(&audience, present, others);
    free(present);
    audience_fini(&audience);
}

/* Sessions with so many channels of their own subscribe to one more, and leave it. */
static void count_own_channels(size_t channels)
{
    enum { SESSIONS = 20, TIMES = 10 };
    struct audience audience;
    audience_init(&audience, 1);
    struct session **sessions = audience_open_many(&audience, SESSIONS);
    fill(&audience, sessions, SESSIONS, channels);
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (size_t i = 0; i < (size_t)SESSIONS * TIMES; i++) {
            audience_say(&audience, sessions[i % SESSIONS], SUBSCRIBE);
            audience_say(&audience, sessions[i % SESSIONS], UNSUBSCRIBE);
        }
        audience_settle(&audience);
        measure_to_number("unsubscribe_and_subscribe", "own_channels", channels, (size_t)SESSIONS * TIMES);
    }
    measure_off();
    audience_close(&audience, sessions, SESSIONS);
    free(sessions);
    audience_fini(&audience);
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
