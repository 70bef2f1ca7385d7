/* test_redis_position.c - the position that is told of a channel: when it is subscribed, after a lost connection, and
 * after Redis has lost the channel's events. */
#include <stdio.h>

#include "redis_pair.h"

/* Who subscribes before the first event can name the place to go on from later. */
static void gives_both_nodes_one_epoch_before_the_first_event(void **state)
{
    struct redis_pair *f = *state;
    char out[64];
    node_subscribe(&f->a, "c", 10);
    node_subscribe(&f->b, "c", 10);
    RIG_WAIT(&f->rig, f->a.subscribed_count == 1 && f->b.subscribed_count == 1);
    const struct seen_subscribed *first = &f->a.subscribed[0], *second = &f->b.subscribed[0];
    assert_true(first->epoch[0] != '\0');
    assert_string_equal(first->epoch, second->epoch);
    assert_int_equal(first->offset, 0);
    assert_int_equal(second->offset, 0);
    REDIS_RUN(&f->server, out, "PTTL", "test:{c}:meta");
    assert_in_range(atoll(out), 24 * 3600 * 1000, 24 * 3600 * 1000 + 60000);
    node_publish(&f->b, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 1 && f->b.event_count == 1);
    assert_int_equal(f->a.events[0].offset, 1);
    assert_string_equal(f->a.events[0].epoch, first->epoch);
    assert_string_equal(node_answer(&f->b, &f->rig, 0)->epoch, first->epoch);
}

static void gives_no_position_without_history(void **state)
{
    struct redis_pair *f = *state;
    char out[64];
    node_subscribe(&f->a, "c", 0);
    RIG_WAIT(&f->rig, f->a.subscribed_count == 1);
    assert_string_equal(f->a.subscribed[0].epoch, "");
    assert_int_equal(f->a.subscribed[0].offset, 0);
    REDIS_RUN(&f->server, out, "EXISTS", "test:{c}:meta");
    assert_string_equal(out, "0");
}

/* Redis loses the channel under both connections: who begins an epoch tells it to both, in line with the events. */
static void tells_both_nodes_an_epoch_that_begins(void **state)
{
    struct redis_pair *f = *state;
    char out[64];
    redis_pair_join(f, &f->a, "c");
    node_publish(&f->a, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 1);
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:meta");
    redis_pair_join(f, &f->b, "c");
    RIG_WAIT(&f->rig, f->a.located_count == 1);
    assert_string_equal(f->a.located.channel, "c");
    assert_string_equal(f->a.located.epoch, f->b.subscribed[0].epoch);
    assert_string_not_equal(f->a.located.epoch, f->a.subscribed[0].epoch);
    assert_int_equal(f->a.located.offset, 0);
    node_publish(&f->a, "c", "2", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 2 && f->b.event_count == 1);
    assert_int_equal(f->a.events[1].offset, 1);
    assert_int_equal(f->b.located_count, 0); /* it has asked, and was answered */
    assert_int_equal(node_metric(&f->a, METRIC_BROKER_ERRORS) + node_metric(&f->b, METRIC_BROKER_ERRORS), 0);
    /* A page that shows no position, or another one than was told, makes the node ask for it. */
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:meta");
    assert_string_equal(node_history(&f->b, &f->rig, "c", false, 0, 1000), "0:");
    RIG_WAIT(&f->rig, f->a.located_count == 2 && f->b.located_count > 0);
    assert_string_equal(f->a.located.epoch, f->b.located.epoch);
    REDIS_RUN(&f->server, out, "HSET", "test:{c}:meta", "epoch", "mine", "offset", "7");
    node_history(&f->a, &f->rig, "c", false, 7, 1000);
    RIG_WAIT(&f->rig, f->a.located_count == 3);
    assert_string_equal(f->a.located.epoch, "mine");
    assert_int_equal(f->a.located.offset, 7);
}

/* A rule is given a history, and loses it. */
static void locates_what_is_given_a_history(void **state)
{
    struct redis_pair *f = *state;
    char out[64];
    redis_pair_join(f, &f->b, "c");
    node_publish(&f->b, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->b.event_count == 1);
    node_subscribe(&f->a, "c", 0);
    RIG_WAIT(&f->rig, f->a.subscribed_count == 1);
    assert_string_equal(f->a.subscribed[0].epoch, "");
    node_subscribe(&f->a, "c", 10);
    RIG_WAIT(&f->rig, f->a.located_count == 1);
    assert_string_equal(f->a.located.epoch, f->b.subscribed[0].epoch);
    assert_int_equal(f->a.located.offset, 1);
    node_subscribe(&f->a, "c", 0);
    REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "pubsub");
    RIG_WAIT(&f->rig, f->a.subscribed_count == 2 && f->b.subscribed_count == 2);
    assert_string_equal(f->a.subscribed[1].epoch, "");
    node_subscribe(&f->a, "c", 10);
    RIG_WAIT(&f->rig, f->a.located_count == 2);
    assert_string_equal(f->a.located.epoch, f->b.subscribed[0].epoch);
}

/* A rule without a ttl: until the first event the meta ages, so that names nobody publishes on are forgotten. */
static void keeps_an_unused_epoch_for_a_day(void **state)
{
    struct redis_pair *f = *state;
    struct history_policy ageless = {.size = 10};
    char out[64];
    f->a.broker->ops->subscribe(f->a.broker, STR("c"), &ageless);
    RIG_WAIT(&f->rig, f->a.subscribed_count == 1);
    REDIS_RUN(&f->server, out, "PTTL", "test:{c}:meta");
    assert_in_range(atoll(out), 23 * 3600 * 1000, 24 * 3600 * 1000);
    const struct event_offer offer = {.channel = STR("c"), .type = STR("tick"), .data = {.raw = STR("1")}};
    struct publication *publication = publication_create(&offer, STR(""));
    publication->history = ageless;
    f->a.broker->ops->ask(f->a.broker, &publication->base);
    assert_int_equal(node_answer(&f->a, &f->rig, 0)->offset, 1);
    assert_string_equal(f->a.answers[0].epoch, f->a.subscribed[0].epoch);
    REDIS_RUN(&f->server, out, "PTTL", "test:{c}:meta");
    assert_string_equal(out, "-1");
}

static long long meta_ttl(struct redis_pair *f)
{
    char out[64];
    REDIS_RUN(&f->server, out, "PTTL", "test:{c}:meta");
    return atoll(out);
}

/* Names that no event ever comes to leave nothing lasting behind. An epoch that anybody has been told stays true. */
static void lets_go_of_an_unused_epoch_with_its_last_subscriber(void **state)
{
    struct redis_pair *f = *state;
    const long long day = 24 * 3600 * 1000;
    redis_pair_join(f, &f->a, "c");
    redis_pair_join(f, &f->b, "c");
    node_unsubscribe(&f->a, "c");
    redis_pair_join(f, &f->a, "other"); /* what was asked before has been done */
    assert_in_range(meta_ttl(f), day - 60000, day + 60000);
    node_unsubscribe(&f->b, "c");
    RIG_WAIT(&f->rig, meta_ttl(f) <= 60000);
    assert_true(meta_ttl(f) > 0);
    redis_pair_join(f, &f->a, "c");
    assert_in_range(meta_ttl(f), day - 60000, day + 60000);
    assert_string_equal(f->a.subscribed[2].epoch, f->b.subscribed[0].epoch);
    node_unsubscribe(&f->a, "c");
    RIG_WAIT(&f->rig, meta_ttl(f) <= 60000);
    node_publish(&f->b, "c", "1", "", 10);
    assert_string_equal(node_answer(&f->b, &f->rig, 0)->epoch, f->b.subscribed[0].epoch);
    assert_in_range(meta_ttl(f), day - 60000, day + 60000);
    redis_pair_join(f, &f->a, "c");
    node_unsubscribe(&f->a, "c");
    redis_pair_join(f, &f->a, "yet another");
    assert_in_range(meta_ttl(f), day - 60000, day + 60000); /* it has had an event */
}

/* Whatever is published while a node subscribes: what it is told to be the position, and the events it gets, fit. */
static void positions_and_events_fit(void **state)
{
    struct redis_pair *f = *state;
    for (unsigned round = 0; round < 60; round++) {
        size_t events = f->b.event_count, answered = f->b.subscribed_count;
        for (int i = 0; i < 20; i++)
            node_publish(&f->a, "c", "1", "", 10);
        node_subscribe(&f->b, "c", 10);
        for (unsigned i = 0; i < round % 7; i++)
            uv_run(&f->rig.loop, UV_RUN_NOWAIT);
        for (int i = 0; i < 20; i++)
            node_publish(&f->a, "c", "1", "", 10);
        uint64_t last = (round + 1) * 40;
        RIG_WAIT(&f->rig, f->b.subscribed_count > answered &&
                              (f->b.subscribed[answered].offset == last ||
                               (f->b.event_count && f->b.events[f->b.event_count - 1].offset == last)));
        assert_int_equal(f->b.subscribed[answered].events_before, events);
        uint64_t offset = f->b.subscribed[answered].offset;
        for (size_t i = events; i < f->b.event_count; i++)
            assert_int_equal(f->b.events[i].offset, ++offset);
        assert_int_equal(offset, last);
        node_unsubscribe(&f->b, "c");
        if (round % 2)
            uv_run(&f->rig.loop, UV_RUN_NOWAIT); /* else its UNSUBSCRIBE and the next SUBSCRIBE are one turn's */
    }
}

static void leaves_and_joins_again_in_flight(void **state)
{
    struct redis_pair *f = *state;
    redis_pair_join(f, &f->a, "c");
    for (int i = 0; i < 50; i++) {
        node_unsubscribe(&f->a, "c");
        if (i % 3 == 0)
            uv_run(&f->rig.loop, UV_RUN_NOWAIT);
        node_subscribe(&f->a, "c", 10);
        if (i % 2 == 0)
            uv_run(&f->rig.loop, UV_RUN_NOWAIT);
    }
    size_t before = f->a.subscribed_count;
    node_publish(&f->b, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 1 || f->a.subscribed[f->a.subscribed_count - 1].offset == 1);
    node_publish(&f->b, "c", "2", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count && f->a.events[f->a.event_count - 1].offset == 2);
    assert_in_range(f->a.subscribed_count, before, 51);
    node_unsubscribe(&f->a, "c");
    char out[64];
    RIG_WAIT(&f->rig,
             (REDIS_RUN(&f->server, out, "EVAL", "return redis.call('PUBSUB','NUMSUB','test:{c}:live')[2]", "0"),
              strcmp(out, "0") == 0));
    RIG_WAIT(&f->rig, node_metric(&f->a, METRIC_BROKER_SUBSCRIPTIONS) == 0);
}

static void says_when_a_channel_cannot_be_had(void **state)
{
    struct redis_pair *f = *state;
    char out[64];
    REDIS_RUN(&f->server, out, "SET", "test:{c}:meta", "text");
    node_subscribe(&f->a, "c", 10);
    RIG_WAIT(&f->rig, f->a.subscribed_count == 1);
    assert_int_equal(f->a.subscribed[0].err, ERR_UNAVAILABLE);
    node_publish(&f->a, "c", "1", "", 10);
    assert_int_equal(node_answer(&f->a, &f->rig, 0)->err, ERR_INTERNAL_ERROR);
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:meta");
    redis_pair_join(f, &f->a, "c");
}

/* A failover or an old snapshot loses the last writes, and offsets are given a second time. */
static void begins_an_epoch_when_events_are_gone(void **state)
{
    struct redis_pair *f = *state;
    char out[64], epoch[SEEN_TEXT];
    redis_pair_join(f, &f->a, "c");
    node_subscribe(&f->a, "plain", 0);
    strcpy(epoch, f->a.subscribed[0].epoch);
    for (int i = 0; i < 5; i++)
        node_publish(&f->a, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 5 && f->a.subscribed_count == 2);

    REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "pubsub");
    RIG_WAIT(&f->rig, f->a.subscribed_count == 4); /* both again; nothing is gone */
    for (int i = 2; i < 4; i++) {
        bool plain = strcmp(f->a.subscribed[i].channel, "plain") == 0;
        assert_string_equal(f->a.subscribed[i].epoch, plain ? "" : epoch);
        assert_int_equal(f->a.subscribed[i].offset, plain ? 0 : 5);
    }
    node_unsubscribe(&f->a, "plain");

    RIG_WAIT(&f->rig, f->a.info.state == BROKER_UP);
    node_publish(&f->a, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 6);
    REDIS_RUN(&f->server, out, "HSET", "test:{c}:meta", "offset", "4");
    REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "pubsub");
    RIG_WAIT(&f->rig, f->a.subscribed_count == 5);
    assert_int_equal(f->a.subscribed[4].offset, 4);
    assert_string_not_equal(f->a.subscribed[4].epoch, epoch);
    strcpy(epoch, f->a.subscribed[4].epoch);
    REDIS_RUN(&f->server, out, "HGET", "test:{c}:meta", "epoch");
    assert_string_equal(out, epoch);

    /* Another event has come in the place of the last one seen, and more after it. */
    RIG_WAIT(&f->rig, f->a.info.state == BROKER_UP);
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:log");
    node_publish(&f->a, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 7);
    assert_int_equal(f->a.events[6].offset, 5);
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:log");
    REDIS_RUN(&f->server, out, "XADD", "test:{c}:log", "5-0", "d", "{\"id\":\"another\"}");
    REDIS_RUN(&f->server, out, "XADD", "test:{c}:log", "9-0", "d", "{\"id\":\"had\"}");
    REDIS_RUN(&f->server, out, "HSET", "test:{c}:meta", "offset", "9");
    REDIS_RUN(&f->server, out, "HDEL", "test:{c}:meta", "last");
    REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "pubsub");
    RIG_WAIT(&f->rig, f->a.subscribed_count == 6);
    assert_int_equal(f->a.subscribed[5].offset, 9);
    assert_string_not_equal(f->a.subscribed[5].epoch, epoch);

    /* Also when all that the node has had of it is the position, told with the event that is there. */
    RIG_WAIT(&f->rig, f->a.info.state == BROKER_UP);
    for (size_t i = 6; i < 8; i++) {
        strcpy(epoch, f->a.subscribed[i - 1].epoch);
        REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "pubsub");
        RIG_WAIT(&f->rig, f->a.subscribed_count == i + 1 && f->a.info.state == BROKER_UP);
        assert_int_equal(f->a.subscribed[i].offset, 9);
        assert_int_equal(strcmp(f->a.subscribed[i].epoch, epoch) == 0, i == 6);
        REDIS_RUN(&f->server, out, "DEL", "test:{c}:log");
        REDIS_RUN(&f->server, out, "XADD", "test:{c}:log", "9-0", "d", "{\"id\":\"another\"}");
    }
}

/* The log is gone, as when its ttl has passed. The id of the last event is still known. So a later page tells the id
 * of the event before its first one. */
static void knows_the_last_event_when_it_has_aged(void **state)
{
    struct redis_pair *f = *state;
    char out[64], before[SEEN_TEXT], now[24];
    for (int i = 0; i < 2; i++)
        node_publish(&f->a, "c", "1", "", 10);
    const char *last_id = node_answer(&f->a, &f->rig, 1)->id;
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:log");
    node_subscribe(&f->b, "c", 10);
    RIG_WAIT(&f->rig, f->b.subscribed_count == 1);
    assert_int_equal(f->b.subscribed[0].offset, 2);
    assert_string_equal(f->b.subscribed[0].id, last_id);
    node_publish(&f->a, "c", "1", "", 10);
    node_publish(&f->a, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->b.event_count == 2);
    assert_string_equal(node_history(&f->a, &f->rig, "c", false, 0, 1000), "4:3,4");
    node_check_page_ids(&f->a, 3, 1);
    assert_string_equal(node_history(&f->a, &f->rig, "c", false, 3, 1000), "4:4");
    node_check_page_ids(&f->a, 3, -1);

    /* So a node notices that another event was there before all that is kept. */
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:log");
    for (size_t i = 1; i < 3; i++) {
        size_t last = 3 + i; /* that the node has had: an event, then the position it was told */
        snprintf(before, sizeof before, "%zu %.40s", last, i == 1 ? f->b.events[1].id : "another");
        snprintf(now, sizeof now, "%zu", last + 1);
        REDIS_RUN(&f->server, out, "HSET", "test:{c}:meta", "offset", now, "last", i == 1 ? "5 later" : "6 later",
                  "before", before);
        REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "pubsub");
        RIG_WAIT(&f->rig, f->b.subscribed_count == i + 1 && f->b.info.state == BROKER_UP);
        assert_int_equal(f->b.subscribed[i].offset, last + 1);
        assert_int_equal(strcmp(f->b.subscribed[i].epoch, f->b.subscribed[0].epoch) == 0, i == 1);
    }
}

/* Loses both nodes' connections, and waits until Redis has this channel's subscription again. The position is asked
 * for at the end of the loop's next turn. */
static void reconnect(struct redis_pair *f, const char *live_channel)
{
    char out[64];
    REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "pubsub");
    RIG_WAIT(&f->rig,
             (REDIS_RUN(&f->server, out, "EVAL", "return redis.call('PUBSUB','NUMSUB',ARGV[1])[2]", "0", live_channel),
              strcmp(out, "1") == 0));
}

/* The position tells of it, and the router reads it from the history. An event without an offset comes from nowhere
 * else. */
static void holds_numbered_events_back_until_the_position_is_told(void **state)
{
    struct redis_pair *f = *state;
    char out[64], numbered[200];
    redis_pair_join(f, &f->a, "c");
    node_publish(&f->a, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 1);
    reconnect(f, "test:{c}:live");
    snprintf(numbered, sizeof numbered,
             "{\"type\":\"tick\",\"channel\":\"c\",\"id\":\"early\",\"data\":2,\"epoch\":\"%s\",\"offset\":2}",
             f->a.events[0].epoch);
    REDIS_RUN(&f->server, out, "PUBLISH", "test:{c}:live", numbered);
    assert_string_equal(out, "1");
    REDIS_RUN(&f->server, out, "PUBLISH", "test:{c}:live", "{\"type\":\"tick\",\"data\":\"direct\"}");
    REDIS_RUN(&f->server, out, "HSET", "test:{c}:meta", "offset", "2", "last", "2 early");
    RIG_WAIT(&f->rig, f->a.subscribed_count == 2);
    assert_int_equal(f->a.subscribed[1].offset, 2);
    assert_string_equal(f->a.subscribed[1].id, "early");
    assert_int_equal(f->a.subscribed[1].events_before, 2);
    assert_string_equal(f->a.events[1].data, "\"direct\"");
    RIG_WAIT(&f->rig, f->a.info.state == BROKER_UP);
    node_publish(&f->a, "c", "3", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 3);
    assert_int_equal(f->a.events[2].offset, 3);
}

/* Of a channel that is answered nobody can say then what was lost: no position is told, and events come. */
static void tells_no_position_when_it_is_refused_after_a_loss(void **state)
{
    struct redis_pair *f = *state;
    char out[64];
    redis_pair_join(f, &f->a, "c");
    node_publish(&f->a, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 1);
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:meta");
    REDIS_RUN(&f->server, out, "SET", "test:{c}:meta", "text");
    REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "pubsub");
    RIG_WAIT(&f->rig, f->a.subscribed_count == 2 && f->a.info.state == BROKER_UP);
    assert_int_equal(f->a.subscribed[1].err, ERR_NONE);
    assert_string_equal(f->a.subscribed[1].epoch, "");
    assert_int_equal(f->a.subscribed[1].offset, 0);
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:meta");
    node_publish(&f->a, "c", "2", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 2);
    assert_int_equal(f->a.events[1].offset, 1);
    assert_int_equal(f->a.subscribed_count, 2);
}

/* A refusal that passes: who subscribes waits for it, as when Redis cannot be reached. */
static void waits_while_redis_refuses_everything(void **state)
{
    struct redis_pair *f = *state;
    char out[64];
    REDIS_RUN(&f->server, out, "CONFIG", "SET", "replica-serve-stale-data", "no");
    REDIS_RUN(&f->server, out, "REPLICAOF", "127.0.0.1", "1");
    node_subscribe(&f->a, "c", 10);
    RIG_WAIT(&f->rig, f->a.info.state == BROKER_DOWN);
    assert_int_equal(f->a.subscribed_count, 0);
    REDIS_RUN(&f->server, out, "REPLICAOF", "NO", "ONE");
    RIG_WAIT(&f->rig, f->a.subscribed_count == 1);
    assert_int_equal(f->a.subscribed[0].err, ERR_NONE);
    assert_string_not_equal(f->a.subscribed[0].epoch, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_REDIS_PAIR(gives_both_nodes_one_epoch_before_the_first_event),
        WITH_REDIS_PAIR(gives_no_position_without_history),
        WITH_REDIS_PAIR(tells_both_nodes_an_epoch_that_begins),
        WITH_REDIS_PAIR(locates_what_is_given_a_history),
        WITH_REDIS_PAIR(keeps_an_unused_epoch_for_a_day),
        WITH_REDIS_PAIR(lets_go_of_an_unused_epoch_with_its_last_subscriber),
        WITH_REDIS_PAIR(positions_and_events_fit),
        WITH_REDIS_PAIR(leaves_and_joins_again_in_flight),
        WITH_REDIS_PAIR(says_when_a_channel_cannot_be_had),
        WITH_REDIS_PAIR(begins_an_epoch_when_events_are_gone),
        WITH_REDIS_PAIR(knows_the_last_event_when_it_has_aged),
        WITH_REDIS_PAIR(holds_numbered_events_back_until_the_position_is_told),
        WITH_REDIS_PAIR(tells_no_position_when_it_is_refused_after_a_loss),
        WITH_REDIS_PAIR(waits_while_redis_refuses_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
