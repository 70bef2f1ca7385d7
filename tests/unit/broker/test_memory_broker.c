/* test_memory_broker.c - the broker of one node, with clocks that are numbers. */
#include "rig.h"
#include "server/broker/memory/memory_broker.h"

static uint64_t fake_now_us;
static uint64_t fake_wall_ms = 1768473000000;

static uint64_t now_us(void)
{
    return fake_now_us;
}

static uint64_t wall_ms(void)
{
    return fake_wall_ms;
}

static const struct clock fake_clock = {.now_us = now_us, .wall_ms = wall_ms};

struct fixture {
    struct rig rig;
    struct node node;
};

/* Time goes on, with the end of a turn. */
static void pass(struct fixture *f, uint64_t us)
{
    uv_run(&f->rig.loop, UV_RUN_NOWAIT);
    fake_now_us += us;
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    fake_now_us = 1000000;
    clock_use(&fake_clock);
    rig_init(&f->rig);
    node_init(&f->node);
    struct memory_broker_config config = {
        .turn = &f->rig.turn,
        .node_id = STR("n1"),
        .idempotency_window_ms = 60000,
        .empty_ttl_ms = 1000,
        .positions_max = 3,
        .ids_bytes_max = 1100, /* four of this test's */
        .history_bytes_max = 10000,
        .user_share = 50,
    };
    f->node.broker = memory_broker_create(&config, &node_sink, &f->node, f->node.metrics);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    node_fini(&f->node, &f->rig);
    rig_fini(&f->rig);
    clock_use(NULL);
    free(f);
    return 0;
}

static void is_up_from_the_start(void **state)
{
    struct fixture *f = *state;
    struct broker_info info;
    struct buf nodes = {0};
    f->node.broker->ops->info(f->node.broker, &info);
    assert_int_equal(info.state, BROKER_UP);
    assert_string_equal(info.kind, "memory");
    f->node.broker->nodes->list(f->node.broker, &nodes);
    assert_true(str_eq_cstr(buf_str(&nodes), "n1"));
    buf_fini(&nodes);
    RIG_WAIT(&f->rig, f->node.states == 1);
    assert_int_equal(f->node.info.state, BROKER_UP);
}

static void orders_events_of_a_channel_with_history(void **state)
{
    struct fixture *f = *state;
    node_publish(&f->node, "c", "0", "", 10);
    node_subscribe(&f->node, "c", 10);
    node_publish(&f->node, "c", "1", "", 10);
    node_publish(&f->node, "c", "2", "", 10);
    node_publish(&f->node, "other", "3", "", 10);
    const struct seen_answer *answer = node_answer(&f->node, &f->rig, 3);
    assert_int_equal(f->node.subscribed_count, 1);
    assert_int_equal(f->node.subscribed[0].offset, 1);
    assert_int_equal(f->node.subscribed[0].events_before, 0);
    assert_int_equal(f->node.event_count, 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct seen_event *event = &f->node.events[i];
        assert_int_equal(event->offset, i + 2);
        assert_string_equal(event->epoch, f->node.subscribed[0].epoch);
        assert_string_equal(event->id, f->node.answers[i + 1].id);
        assert_int_equal(f->node.answers[i + 1].offset, i + 2);
        assert_string_equal(event->timestamp, "2026-01-15T10:30:00.000Z");
        assert_string_equal(event->type, "tick");
    }
    assert_int_equal(answer->offset, 1);
    assert_string_not_equal(answer->epoch, f->node.subscribed[0].epoch);
}

static void gives_no_offsets_without_history(void **state)
{
    struct fixture *f = *state;
    node_subscribe(&f->node, "c", 0);
    node_publish(&f->node, "c", "1", "", 0);
    const struct seen_answer *answer = node_answer(&f->node, &f->rig, 0);
    assert_int_equal(answer->err, ERR_NONE);
    assert_int_equal(answer->offset, 0);
    assert_string_equal(answer->epoch, "");
    assert_int_equal(strlen(answer->id), UUID_LEN);
    assert_string_equal(f->node.subscribed[0].epoch, "");
    assert_int_equal(f->node.events[0].offset, 0);
}

static void gives_an_epoch_to_the_first_subscriber(void **state)
{
    struct fixture *f = *state;
    node_subscribe(&f->node, "c", 10);
    node_subscribe(&f->node, "other", 10);
    node_publish(&f->node, "c", "1", "", 10);
    const struct seen_answer *answer = node_answer(&f->node, &f->rig, 0);
    const struct seen_subscribed *first = &f->node.subscribed[0];
    assert_true(first->epoch[0] != '\0');
    assert_int_equal(first->offset, 0);
    assert_string_not_equal(f->node.subscribed[1].epoch, first->epoch);
    assert_int_equal(answer->offset, 1);
    assert_string_equal(answer->epoch, first->epoch);
    assert_int_equal(f->node.events[0].offset, 1);
    assert_string_equal(f->node.events[0].epoch, first->epoch);
}

static void locates_what_is_given_a_history(void **state)
{
    struct fixture *f = *state;
    node_subscribe(&f->node, "c", 0);
    RIG_WAIT(&f->rig, f->node.subscribed_count == 1);
    assert_string_equal(f->node.subscribed[0].epoch, "");
    node_subscribe(&f->node, "c", 10);
    RIG_WAIT(&f->rig, f->node.located_count == 1);
    assert_true(f->node.located.epoch[0] != '\0');
    node_publish(&f->node, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->node.event_count == 1);
    assert_string_equal(f->node.events[0].epoch, f->node.located.epoch);
    assert_int_equal(f->node.events[0].offset, 1);
    node_subscribe(&f->node, "c", 0);
    node_subscribe(&f->node, "c", 10); /* it is where it was */
    RIG_WAIT(&f->rig, f->node.located_count == 2);
    assert_string_equal(f->node.events[0].epoch, f->node.located.epoch);
    assert_int_equal(f->node.located.offset, 1);
    assert_string_equal(f->node.located.id, f->node.events[0].id);
}

/* A client that comes back within the time finds the epoch it was told, also when there was no event yet. */
static void keeps_an_epoch_without_events_for_a_while(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        node_subscribe(&f->node, "c", 10);
        RIG_WAIT(&f->rig, f->node.subscribed_count == (size_t)i + 1);
        node_unsubscribe(&f->node, "c");
        pass(f, 1000000 - 1 + (unsigned)i);
    }
    assert_string_equal(f->node.subscribed[1].epoch, f->node.subscribed[0].epoch);
    assert_string_not_equal(f->node.subscribed[2].epoch, f->node.subscribed[0].epoch);
    assert_true(f->node.subscribed[2].epoch[0] != '\0');
    assert_int_equal(f->node.subscribed[2].offset, 0);
}

static void hands_on_only_what_is_subscribed(void **state)
{
    struct fixture *f = *state;
    node_publish(&f->node, "c", "1", "", 0);
    node_subscribe(&f->node, "c", 0); /* after it in order: must not get it */
    node_unsubscribe(&f->node, "c");
    node_subscribe(&f->node, "c", 0);
    node_answer(&f->node, &f->rig, 0);
    assert_int_equal(f->node.subscribed_count, 1); /* the first was taken back before its answer */
    assert_int_equal(f->node.event_count, 0);
    node_unsubscribe(&f->node, "c");
    node_publish(&f->node, "c", "2", "", 0);
    node_answer(&f->node, &f->rig, 1);
    assert_int_equal(f->node.event_count, 0);
}

static void publishes_an_event_id_once(void **state)
{
    struct fixture *f = *state;
    node_subscribe(&f->node, "c", 10);
    node_publish(&f->node, "c", "1", "a", 10);
    node_publish(&f->node, "c", "1", "a", 10);
    node_publish(&f->node, "d", "1", "a", 10); /* another channel, another event */
    pass(f, 59999999);
    node_answer(&f->node, &f->rig, 2);
    assert_int_equal(f->node.event_count, 1);
    assert_false(f->node.answers[0].duplicate);
    assert_true(f->node.answers[1].duplicate);
    assert_string_equal(f->node.answers[1].id, f->node.answers[0].id);
    assert_string_equal(f->node.answers[1].epoch, f->node.answers[0].epoch);
    assert_int_equal(f->node.answers[1].offset, 1);
    assert_false(f->node.answers[2].duplicate);
    pass(f, 60000001);
    node_publish(&f->node, "c", "1", "a", 10);
    assert_false(node_answer(&f->node, &f->rig, 3)->duplicate);
    assert_int_equal(f->node.answers[3].offset, 2);
}

static void forgets_the_oldest_event_ids_over_the_bound(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {"a", "b", "c", "d", "e", "b", "a"};
    for (size_t i = 0; i < 7; i++)
        node_publish(&f->node, "c", "1", ids[i], 0);
    node_answer(&f->node, &f->rig, 6);
    assert_true(f->node.answers[5].duplicate);
    assert_false(f->node.answers[6].duplicate);
}

static void forgets_positions_by_number_and_age(void **state)
{
    struct fixture *f = *state;
    static const char *const channels[] = {"kept", "a", "b", "c", "d", "kept", "d", "a"};
    node_publish(&f->node, "kept", "1", "", 10);
    node_subscribe(&f->node, "kept", 10);
    node_answer(&f->node, &f->rig, 0);
    for (size_t i = 1; i < 8; i++)
        node_publish(&f->node, channels[i], "1", "", 10);
    node_answer(&f->node, &f->rig, 7);
    assert_int_equal(f->node.answers[5].offset, 2); /* has a subscriber */
    assert_string_equal(f->node.answers[5].epoch, f->node.answers[0].epoch);
    assert_int_equal(f->node.answers[6].offset, 2); /* among the three of late */
    assert_int_equal(f->node.answers[7].offset, 1); /* pushed out */
    assert_string_not_equal(f->node.answers[7].epoch, f->node.answers[1].epoch);

    pass(f, UINT64_C(1000) * (60000 + 24 * 3600 * 1000));
    node_publish(&f->node, "d", "1", "", 10);
    node_publish(&f->node, "kept", "1", "", 10);
    node_answer(&f->node, &f->rig, 9);
    assert_int_equal(f->node.answers[8].offset, 1);
    assert_string_not_equal(f->node.answers[8].epoch, f->node.answers[6].epoch);
    assert_int_equal(f->node.answers[9].offset, 3);
}

static void publish_as(struct fixture *f, uint64_t user, const char *channel, const char *event_id, const char *data)
{
    const struct event_offer offer = {.channel = str_from_cstr(channel),
                                      .type = STR("tick"),
                                      .data = {.raw = str_from_cstr(data)},
                                      .event_id = str_from_cstr(event_id)};
    struct publication *publication = publication_create(&offer, STR(""));
    publication->history = (struct history_policy){.size = 10, .ttl_ms = 60000};
    publication->user_hash = user;
    f->node.broker->ops->ask(f->node.broker, &publication->base);
}

enum { BACKEND = 0, VICTIM = 1, CROWDER = 2, MANY = 40 };

/* The events and positions of other users stay, however many names one user's clients make up, and however much they
 * publish. */
static void crowd_by_subscribing(struct fixture *f, const char *name, const char *data)
{
    (void)data;
    node_subscribe(&f->node, name, 10);
    node_unsubscribe(&f->node, name);
}

static void crowd_by_channels(struct fixture *f, const char *name, const char *data)
{
    publish_as(f, CROWDER, name, "", data);
}

static void crowd_by_event_ids(struct fixture *f, const char *name, const char *data)
{
    publish_as(f, CROWDER, "one", name, data);
}

static void crowd_in_a_channel_of_others(struct fixture *f, const char *name, const char *data)
{
    (void)name;
    publish_as(f, CROWDER, "shared", "", data);
}

/* In two channels, large events of the crowder's and small ones of another's. */
static void crowd_and_leave_the_last_word(struct fixture *f, const char *name, const char *data, uint64_t other)
{
    const char *channel = atoi(name) % 2 ? "busy-1" : "busy-2";
    publish_as(f, CROWDER, channel, "", data);
    publish_as(f, other, channel, "", "1");
}

static void crowd_before_the_victim_speaks(struct fixture *f, const char *name, const char *data)
{
    crowd_and_leave_the_last_word(f, name, data, VICTIM);
}

static void crowd_before_a_backend_speaks(struct fixture *f, const char *name, const char *data)
{
    crowd_and_leave_the_last_word(f, name, data, BACKEND);
}

static void crowd_after_the_victim_has_spoken(struct fixture *f, const char *name, const char *data)
{
    const char *channel = atoi(name) % 2 ? "busy-1" : "busy-2";
    publish_as(f, VICTIM, channel, "", "1");
    publish_as(f, CROWDER, channel, "", data);
}

static void no_user_pushes_out_what_is_of_others(void **state)
{
    static void (*const ways[])(struct fixture *, const char *, const char *) = {crowd_by_subscribing,
                                                                                 crowd_by_channels,
                                                                                 crowd_by_event_ids,
                                                                                 crowd_in_a_channel_of_others,
                                                                                 crowd_before_the_victim_speaks,
                                                                                 crowd_before_a_backend_speaks,
                                                                                 crowd_after_the_victim_has_spoken};
    char name[32], data[900] = "\"";
    memset(data + 1, 'x', 890);
    data[890] = '"';
    for (size_t way = 0; way < COUNT_OF(ways); way++) {
        tear_down(state);
        set_up(state);
        struct fixture *f = *state;
        publish_as(f, VICTIM, "shared", "", "1");
        publish_as(f, BACKEND, "backend", "b", "1");
        publish_as(f, VICTIM, "victim", "v", "1");
        node_subscribe(&f->node, "busy-1", 10); /* they take up no position */
        node_subscribe(&f->node, "busy-2", 10);
        for (int i = 0; i < MANY; i++) {
            snprintf(name, sizeof name, "%d", i);
            ways[way](f, name, data);
        }
        publish_as(f, VICTIM, "victim", "v", "2");
        publish_as(f, BACKEND, "backend", "b", "2");
        RIG_WAIT(&f->rig, f->node.answer_count >= 5 && f->node.answers[f->node.answer_count - 1].duplicate);
        assert_true(f->node.answers[f->node.answer_count - 2].duplicate);
        assert_string_equal(node_history(&f->node, &f->rig, "backend", false, 0, 1000), "1:1");
        assert_string_equal(node_history(&f->node, &f->rig, "victim", false, 0, 1000), "1:1");
    }
}

/* Of the user's own the newest stays. */
static void a_user_over_its_share_loses_its_oldest(void **state)
{
    struct fixture *f = *state;
    char data[900] = "\"";
    memset(data + 1, 'x', 890);
    data[890] = '"';
    for (int i = 0; i < 10; i++) {
        publish_as(f, CROWDER, "a", "", data);
        publish_as(f, CROWDER, "b", "", data);
    }
    node_subscribe(&f->node, "a", 10); /* so that neither counts as unused */
    node_subscribe(&f->node, "b", 10);
    node_answer(&f->node, &f->rig, 19);
    assert_string_equal(node_history(&f->node, &f->rig, "b", false, 0, 1), "10:9+"); /* of 5000 bytes half */
    publish_as(f, BACKEND, "b", "", "1");
    for (int i = 0; i < 10; i++)
        publish_as(f, CROWDER, "a", "", data);
    node_answer(&f->node, &f->rig, 30);
    assert_string_equal(node_history(&f->node, &f->rig, "b", false, 0, 1), "11:11");
    assert_string_equal(node_history(&f->node, &f->rig, "a", false, 0, 1), "20:17+");
}

/* A history has no holes: what is of others goes where something of the user's comes after it, and nowhere else. */
static void a_user_over_its_share_takes_what_is_before_its_own(void **state)
{
    struct fixture *f = *state;
    char data[900] = "\"", huge[6000] = "\"";
    memset(data + 1, 'x', 890);
    data[890] = '"';
    memset(huge + 1, 'x', 5990);
    huge[5990] = '"';
    node_subscribe(&f->node, "shared", 10); /* so that none counts as unused */
    node_subscribe(&f->node, "victim", 10);
    node_subscribe(&f->node, "own", 10);
    publish_as(f, VICTIM, "victim", "", "1");
    publish_as(f, VICTIM, "shared", "", "1");
    publish_as(f, CROWDER, "shared", "", "2");
    publish_as(f, VICTIM, "shared", "", "3");
    for (int i = 0; i < 4; i++)
        publish_as(f, CROWDER, "own", "", data);
    node_answer(&f->node, &f->rig, 7);
    assert_string_equal(node_history(&f->node, &f->rig, "shared", false, 0, 1000), "3:1,2,3");
    publish_as(f, CROWDER, "own", "", data);
    node_answer(&f->node, &f->rig, 8);
    assert_string_equal(node_history(&f->node, &f->rig, "shared", false, 0, 1000), "3:3");
    publish_as(f, CROWDER, "shared", "", huge); /* more than the share by itself: what else is its own goes */
    node_answer(&f->node, &f->rig, 9);
    assert_string_equal(node_history(&f->node, &f->rig, "shared", false, 0, 10000), "4:3,4");
    assert_string_equal(node_history(&f->node, &f->rig, "own", false, 0, 10000), "5:");
    assert_string_equal(node_history(&f->node, &f->rig, "victim", false, 0, 1000), "1:1");
}

static void sends_control_to_itself_alone(void **state)
{
    struct fixture *f = *state;
    struct broker *broker = f->node.broker;
    broker->nodes->send(broker, STR("n2"), STR("x"));
    broker->nodes->send(broker, STR(""), STR("y"));
    broker->nodes->send(broker, STR("n1"), STR("hello"));
    RIG_WAIT(&f->rig, f->node.control_count);
    assert_int_equal(f->node.control_count, 1);
    assert_string_equal(f->node.control, "n1|hello");
}

static void answers_what_waits_when_closed(void **state)
{
    struct fixture *f = *state;
    node_subscribe(&f->node, "c", 10);
    node_publish(&f->node, "c", "1", "", 10);
    node_close(&f->node, &f->rig);
    assert_int_equal(f->node.answer_count, 1);
    assert_int_equal(f->node.answers[0].err, ERR_UNAVAILABLE);
    assert_int_equal(f->node.subscribed_count, 1);
    assert_int_equal(f->node.subscribed[0].err, ERR_UNAVAILABLE);
    assert_int_equal(f->node.event_count, 0);
}

static void reads_pages_of_its_log(void **state)
{
    struct fixture *f = *state;
    node_check_paging(&f->node, &f->rig);
    assert_string_equal(node_history(&f->node, &f->rig, "paged", false, 0, 1), "20:6+");
    node_check_page_ids(&f->node, 19, -1); /* those before went as there are more: nobody knows */
}

static void forgets_events_when_their_ttl_is_over(void **state)
{
    struct fixture *f = *state;
    node_publish(&f->node, "c", "1", "", 10);
    node_answer(&f->node, &f->rig, 0);
    pass(f, 59000000);
    node_publish(&f->node, "c", "2", "", 10);
    node_answer(&f->node, &f->rig, 1);
    pass(f, 59000000);
    assert_string_equal(node_history(&f->node, &f->rig, "c", false, 0, 1000), "2:1,2");
    pass(f, 1000000);
    assert_string_equal(node_history(&f->node, &f->rig, "c", false, 0, 1000), "2:");
    node_publish(&f->node, "c", "3", "", 10);
    assert_string_equal(node_history(&f->node, &f->rig, "c", false, 0, 1000), "3:3");
    node_check_page_ids(&f->node, 2, 1);
    node_subscribe(&f->node, "c", 10);
    RIG_WAIT(&f->rig, f->node.subscribed_count == 1);
    assert_string_equal(f->node.subscribed[0].id, f->node.answers[2].id);
}

/* Over the bound of all histories the channel that was silent for longest pays, event by event. */
static void keeps_no_more_bytes_than_it_may(void **state)
{
    struct fixture *f = *state;
    char data[1000 + 3];
    memset(data, 'x', sizeof data);
    data[0] = data[1001] = '"';
    data[1002] = '\0';
    for (int i = 0; i < 4; i++)
        node_publish(&f->node, "old", data, "", 10);
    for (int i = 0; i < 5; i++)
        node_publish(&f->node, "new", data, "", 10);
    assert_string_equal(node_history(&f->node, &f->rig, "old", false, 0, 100000), "4:2,3,4");
    assert_string_equal(node_history(&f->node, &f->rig, "new", false, 0, 100000), "5:1,2,3,4,5");
    for (int i = 0; i < 5; i++)
        node_publish(&f->node, "new", data, "", 10);
    assert_string_equal(node_history(&f->node, &f->rig, "old", false, 0, 100000), "4:");
    assert_string_equal(node_history(&f->node, &f->rig, "new", false, 0, 100000), "10:3,4,5,6,7,8,9,10");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_up_from_the_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(orders_events_of_a_channel_with_history, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_no_offsets_without_history, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_an_epoch_to_the_first_subscriber, set_up, tear_down),
        cmocka_unit_test_setup_teardown(locates_what_is_given_a_history, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_an_epoch_without_events_for_a_while, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hands_on_only_what_is_subscribed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(publishes_an_event_id_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgets_the_oldest_event_ids_over_the_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgets_positions_by_number_and_age, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_user_pushes_out_what_is_of_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_user_over_its_share_loses_its_oldest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_user_over_its_share_takes_what_is_before_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sends_control_to_itself_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_pages_of_its_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgets_events_when_their_ttl_is_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_no_more_bytes_than_it_may, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_what_waits_when_closed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
