/* count_delivery.c - one event on its way through the hub: from hub_deliver, through each subscriber's outbox, to the
 * write at the end of the turn. Per delivery, and so with what it must not depend on. */
#include <stdio.h>

#include "bench/instructions/audience.h"
#include "bench/instructions/measure.h"
#include "common/base/alloc.h"

enum { DATA_BYTES = 128, DELIVERIES = 100000 };

#define ROOM "bench:room"

struct scene {
    size_t subscribers;
    size_t other_sessions; /* all in one other channel */
    size_t other_channels; /* all of one other session */
    size_t rules;
    size_t events;   /* a turn */
    bool has_offset; /* as events of a channel with a history have */
};

static struct message *make_message(bool has_offset)
{
    char data[DATA_BYTES + 1];
    snprintf(data, sizeof data, "\"%0*d\"", DATA_BYTES - 2, 0);
    struct event event = {.channel = STR(ROOM),
                          .type = STR("note"),
                          .id = STR("0197c1a0-0000-7000-8000-000000000000"),
                          .timestamp = STR("2026-01-15T10:30:00.000Z"),
                          .data = str_from_cstr(data)};
    if (has_offset) {
        event.epoch = STR("k3v9q2");
        event.offset = 123456;
    }
    return message_from_event(&event, 1);
}

static struct session **gather(struct audience *audience, size_t count, struct str channel)
{
    struct session **sessions = audience_open_many(audience, count);
    for (size_t i = 0; i < count; i++) {
        audience_subscribe(audience, sessions[i], channel);
        audience_settle(audience);
    }
    return sessions;
}

static struct session *fill_channels(struct audience *audience, size_t count)
{
    struct session *session = audience_open(audience);
    for (size_t i = 0; i < count; i++) {
        char name[40];
        snprintf(name, sizeof name, "bench:channel-%zu", i);
        audience_subscribe(audience, session, str_from_cstr(name));
        audience_settle(audience);
    }
    return session;
}

static void deliver(struct audience *audience, struct message *message, const struct scene *scene, size_t turns)
{
    for (size_t turn = 0; turn < turns; turn++) {
        for (size_t event = 0; event < scene->events; event++)
            hub_deliver(audience->hub, message_ref(message));
        hub_flush(audience->hub);
    }
}

static void count(const char *path, const char *variable, size_t value, const struct scene *scene)
{
    struct audience audience;
    audience_init(&audience, scene->rules);
    struct session **others = gather(&audience, scene->other_sessions, STR("bench:other"));
    struct session *holder = fill_channels(&audience, scene->other_channels);
    struct session **subscribers = gather(&audience, scene->subscribers, STR(ROOM));
    struct message *message = make_message(scene->has_offset);
    size_t a_turn = scene->subscribers * scene->events;
    size_t turns = a_turn < DELIVERIES ? DELIVERIES / a_turn : 1;
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        deliver(&audience, message, scene, turns);
        measure_to_number(path, variable, value, a_turn * turns);
    }
    measure_off();
    message_unref(message);
    audience_close(&audience, subscribers, scene->subscribers);
    audience_close(&audience, others, scene->other_sessions);
    audience_close(&audience, &holder, 1);
    free(subscribers);
    free(others);
    audience_fini(&audience);
}

int main(void)
{
    static const size_t subscribers[] = {10, 1000, 100000};
    static const size_t sessions[] = {0, 10000, 100000};
    static const size_t channels[] = {1, 1000, 100000};
    static const size_t rules[] = {1, 100, 1000};
    const struct scene usual = {.subscribers = 1000, .rules = 1, .events = 1};
    for (size_t i = 0; i < 3; i++) {
        struct scene scene = usual;
        scene.subscribers = subscribers[i];
        count("delivery", "subscribers", subscribers[i], &scene);
        scene.events = 16;
        count("delivery_16_events_a_turn", "subscribers", subscribers[i], &scene);
    }
    for (size_t i = 0; i < 3; i++) {
        struct scene scene = usual;
        scene.other_sessions = sessions[i];
        count("delivery", "other_sessions", sessions[i], &scene);
        scene = usual;
        scene.other_channels = channels[i];
        count("delivery", "other_channels", channels[i], &scene);
        scene = usual;
        scene.rules = rules[i];
        count("delivery", "rules", rules[i], &scene);
    }
    for (size_t history = 0; history < 2; history++) {
        struct scene scene = usual;
        scene.has_offset = history;
        count("delivery", "history", history, &scene);
    }
    return 0;
}
