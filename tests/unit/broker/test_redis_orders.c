/* test_redis_orders.c - subscriptions and positions when answers come in orders that a real Redis can rarely be made to
 * take. The two servers of a cluster are played: what is sent stays in their connections, and the tests answer. */
#include <hiredis/hiredis.h>

#include "rig.h"
#include "server/broker/redis/redis_parts.h"
#include "server/broker/redis/topology/redis_slots.h"

#define KEY "test:{c}:live"

struct fixture {
    struct rig rig;
    struct node node;
    struct redis_broker broker;
    struct redis_shard shards[2];
    struct redis_shard *owner; /* of all slots */
    int map_asked;             /* how often */
};

static struct redis_shard *shard_of(struct redis_topology *topology, struct str key)
{
    (void)key;
    return CONTAINER_OF(topology, struct fixture, broker.topology)->owner;
}

static enum redis_again redirect(struct redis_topology *topology, struct str key, struct str text,
                                 struct redis_route *out)
{
    struct fixture *f = CONTAINER_OF(topology, struct fixture, broker.topology);
    (void)key;
    if (!str_starts_with(text, STR("ASK ")))
        return REDIS_ANSWERED;
    *out = (struct redis_route){.shard = &f->shards[1], .asking = true};
    return REDIS_AGAIN_NOW;
}

static void ask_map(struct redis_topology *topology)
{
    CONTAINER_OF(topology, struct fixture, broker.topology)->map_asked++;
}

static int set_up(void **state)
{
    static const struct redis_topology_kind kind = {
        .shard_of = shard_of, .redirect = redirect, .subscription_ended = ask_map, .sharded = true};
    static const struct broker_ops ops = {.subscribe = redis_subscribe, .unsubscribe = redis_unsubscribe};
    static const struct redis_connection_config config = {.what = "Redis"};
    struct fixture *f = xcalloc(1, sizeof *f);
    rig_init(&f->rig);
    node_init(&f->node);
    f->node.broker = &f->broker.broker;
    f->broker.broker = (struct broker){.ops = &ops, .sink = &node_sink, .owner = &f->node, .metrics = f->node.metrics};
    f->broker.config.prefix = STR("test");
    f->broker.config.turn = f->broker.topology.config.turn = &f->rig.turn;
    buf_append(&f->broker.pubsub_prefix, STR("test"));
    f->broker.event_limits = (struct event_limits){.data_bytes = 4096, .custom = true};
    f->broker.topology.kind = &kind;
    f->broker.requests.topology = &f->broker.topology;
    redis_subscriptions_init(&f->broker.subscriptions, true, f->node.metrics);
    for (int i = 0; i < 2; i++) {
        struct redis_shard *shard = &f->shards[i];
        shard->topology = &f->broker.topology;
        redis_connection_init(&shard->commands, &config, NULL, &f->broker, &f->rig.turn);
        redis_connection_init(&shard->subscriber, &config, NULL, &f->broker, &f->rig.turn);
        shard->commands.state = shard->subscriber.state = REDIS_READY;
        shard->is_primary = true;
        shard->phase = PHASE_CONNECTING;
    }
    f->owner = &f->shards[0];
    *state = f;
    return 0;
}

/* Answers the command sent first of those that have no answer yet. NULL: the connection was lost. */
static void answer(struct fixture *f, struct redis_shard *shard, const char *error)
{
    struct redis_connection *connection = &shard->commands;
    char text[100];
    redisReply reply = {.type = error ? REDIS_REPLY_ERROR : REDIS_REPLY_INTEGER, .integer = 1};
    assert_true(connection->expected.count > 0);
    struct redis_expected first = *(struct redis_expected *)ring_at(&connection->expected, 0, sizeof first);
    ring_drop(&connection->expected);
    if (error) {
        reply.str = text;
        reply.len = (size_t)snprintf(text, sizeof text, "%s", error);
    }
    bool is_lost = error && strcmp(error, "lost") == 0;
    first.done(&f->broker, first.argument, is_lost ? NULL : &reply);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        struct redis_shard *shard = &f->shards[i];
        shard->commands.state = REDIS_CLOSING;
        while (shard->commands.expected.count)
            answer(f, shard, "lost");
        shard->commands.state = shard->subscriber.state = REDIS_IDLE;
        redis_connection_fini(&shard->commands);
        redis_connection_fini(&shard->subscriber);
    }
    redis_subscriptions_fini(&f->broker.subscriptions);
    redis_keys_fini(&f->broker.keys);
    buf_fini(&f->broker.pubsub_prefix);
    buf_fini(&f->broker.scratch);
    free(f->node.events);
    free(f->node.answers);
    free(f->node.metrics);
    rig_fini(&f->rig);
    free(f);
    return 0;
}

static void confirm(struct redis_shard *shard)
{
    redis_subscribe_confirmed(shard, STR(KEY));
}

static void tell(struct redis_shard *shard, uint64_t offset)
{
    redis_position_told(shard, STR(KEY), STR("e"), offset, STR(""));
}

/* Its position has been told: 5. */
static void join(struct fixture *f)
{
    node_subscribe(&f->node, "c", 10);
    redis_subscribe_flush(&f->broker);
    confirm(f->owner);
    tell(f->owner, 5);
    answer(f, f->owner, NULL);
    assert_int_equal(f->node.subscribed_count, 1);
}

/* The connections are lost and back, the subscription is confirmed and its position asked for. */
static void reconnect(struct fixture *f)
{
    redis_subscribe_reset(f->owner);
    redis_subscribe_restore(f->owner);
    confirm(f->owner);
    assert_int_equal(f->owner->commands.expected.count, 1);
}

static void move_to_other(struct fixture *f)
{
    f->owner = &f->shards[1];
    redis_subscribe_move_slot(&f->broker, redis_slot_of(STR(KEY)));
    redis_subscribe_flush(&f->broker);
    confirm(f->owner);
}

static void assert_told(const struct fixture *f, uint64_t offset)
{
    assert_int_equal(f->node.subscribed_count, 2);
    assert_int_equal(f->node.subscribed[1].err, ERR_NONE);
    assert_int_equal(f->node.subscribed[1].offset, offset);
}

/* Not a loss: the history was read after the position had been made. */
static void asks_again_when_a_history_is_further_on(void **state)
{
    for (int answered_first = 0; answered_first < 2; answered_first++) {
        if (answered_first) {
            tear_down(state);
            set_up(state);
        }
        struct fixture *f = *state;
        join(f);
        reconnect(f);
        redis_position_read(&f->broker, STR("c"), STR("e"), 8);
        if (answered_first)
            answer(f, f->owner, NULL);
        tell(f->owner, 6);
        if (!answered_first)
            answer(f, f->owner, NULL);
        assert_int_equal(f->node.subscribed_count, 1);
        assert_int_equal(f->owner->commands.expected.count, 1);
        tell(f->owner, 8);
        assert_told(f, 8);
    }
}

/* A page of a server that is the primary no more. Its events beyond 6 are lost. The position is on its way before the
 * answer of the script that tells it. */
static void believes_the_position_that_is_asked_after_a_history(void **state)
{
    enum { QUESTIONS_MAX = 3 };
    struct fixture *f = *state;
    join(f);
    reconnect(f);
    redis_position_read(&f->broker, STR("c"), STR("e"), 8);
    for (int i = 0; i < QUESTIONS_MAX && f->owner->commands.expected.count; i++) {
        tell(f->owner, 6);
        answer(f, f->owner, NULL);
    }
    assert_told(f, 6);
}

/* The other server never says whether it has run what it was asked. */
static void asks_where_it_has_moved_to(void **state)
{
    struct fixture *f = *state;
    struct redis_shard *there = &f->shards[1];
    join(f);
    reconnect(f);
    there->commands.state = REDIS_LOGIN;
    move_to_other(f);
    there->commands.state = REDIS_READY;
    redis_position_ask_all(there);
    answer(f, &f->shards[0], "lost");
    assert_int_equal(there->commands.expected.count, 1);
    tell(&f->shards[0], 5); /* late, and of no worth here */
    assert_int_equal(f->node.subscribed_count, 1);
    tell(there, 6);
    assert_told(f, 6);
}

/* A primary that has become a replica would take it again, and have some of the events from then on. */
static void waits_for_the_map_when_a_server_ends_a_subscription(void **state)
{
    struct fixture *f = *state;
    join(f);
    redis_subscribe_ended(f->owner, STR(KEY));
    redis_subscribe_flush(&f->broker);
    confirm(f->owner); /* of nothing */
    assert_int_equal(f->owner->commands.expected.count, 0);
    assert_int_equal(f->map_asked, 1);
    move_to_other(f);
    assert_int_equal(f->owner->commands.expected.count, 1);
    tell(f->owner, 6);
    assert_told(f, 6);
}

static void hear(struct redis_shard *shard, const char *type)
{
    struct buf bytes = {0};
    buf_appendf(&bytes, "{\"type\":\"%s\",\"data\":1}", type);
    redis_subscribe_message(shard, STR(KEY), buf_str(&bytes));
    buf_fini(&bytes);
}

/* A channel without history. */
static void join_plain(struct fixture *f)
{
    node_subscribe(&f->node, "c", 0);
    redis_subscribe_flush(&f->broker);
    confirm(f->owner);
    redis_position_told(f->owner, STR(KEY), STR(""), 0, STR(""));
    answer(f, f->owner, NULL);
    assert_int_equal(f->node.subscribed_count, 1);
}

static void give_slot_to(struct fixture *f, struct redis_shard *shard)
{
    f->owner = shard;
    redis_subscribe_move_slot(&f->broker, redis_slot_of(STR(KEY)));
    redis_subscribe_flush(&f->broker);
}

/* Nothing has ended the subscription that the node had there, so events come before the new one is confirmed. */
static void tells_a_loss_before_what_comes_from_a_server_that_the_slot_returns_to(void **state)
{
    for (int other = 0; other < 2; other++) {
        if (other) {
            tear_down(state);
            set_up(state);
        }
        struct fixture *f = *state;
        struct redis_shard *here = &f->shards[0];
        join_plain(f);
        hear(here, "before");
        give_slot_to(f, other ? &f->shards[1] : NULL);
        hear(here, "lost");
        give_slot_to(f, here);
        hear(here, "early");
        assert_int_equal(f->node.event_count, 1);
        confirm(here);
        assert_int_equal(f->node.subscribed_count, 2);
        assert_int_equal(f->node.subscribed[1].events_before, 1);
        hear(here, "after");
        assert_int_equal(f->node.event_count, 2);
        assert_string_equal(f->node.events[1].type, "after");
        assert_int_equal(here->commands.expected.count, 0); /* no position is asked for */
    }
}

/* The server had ended the subscription before it took the command that subscribes again. */
static void takes_the_end_of_a_subscription_for_no_confirmation(void **state)
{
    struct fixture *f = *state;
    struct redis_shard *here = &f->shards[0];
    join_plain(f);
    give_slot_to(f, &f->shards[1]);
    give_slot_to(f, here);
    redis_subscribe_ended(here, STR(KEY));
    assert_int_equal(f->node.subscribed_count, 1);
    confirm(here);
    assert_int_equal(f->node.subscribed_count, 2);
    redis_subscribe_ended(here, STR(KEY)); /* once more, and now of the subscription that it has */
    assert_int_equal(f->map_asked, 1);
}

/* A map that is older than the end of the subscription names the same server. It is a replica by now, and takes the
 * subscription. */
static void asks_a_server_that_was_up_whether_it_has_the_slot(void **state)
{
    struct fixture *f = *state;
    struct redis_shard *here = &f->shards[0], *there = &f->shards[1];
    join_plain(f);
    here->phase = PHASE_RESTING;
    redis_subscribe_ended(here, STR(KEY));
    give_slot_to(f, here);
    confirm(here);
    hear(here, "chance");
    assert_int_equal(here->commands.expected.count, 1);
    give_slot_to(f, there); /* so says MOVED, the answer */
    answer(f, here, "lost");
    assert_int_equal(f->node.subscribed_count, 1);
    confirm(there);
    assert_int_equal(f->node.subscribed_count, 2);
    assert_int_equal(f->node.event_count, 0);
    hear(there, "after");
    assert_int_equal(f->node.event_count, 1);
}

/* Its subscriptions may be confirmed before it says that it is a replica. */
static void tells_nothing_before_a_server_is_known_as_primary(void **state)
{
    struct fixture *f = *state;
    join_plain(f);
    f->owner->is_primary = false;
    redis_subscribe_reset(f->owner);
    redis_subscribe_restore(f->owner);
    confirm(f->owner);
    hear(f->owner, "chance");
    assert_int_equal(f->node.subscribed_count, 1);
    f->owner->is_primary = true;
    redis_position_ask_all(f->owner);
    assert_int_equal(f->node.subscribed_count, 2);
    hear(f->owner, "after");
    assert_int_equal(f->node.event_count, 1);
}

/* The first one is of a command that the node has given up, when the slot moved. */
static void takes_confirmations_in_the_order_of_commands(void **state)
{
    struct fixture *f = *state;
    struct redis_shard *here = &f->shards[0];
    node_subscribe(&f->node, "c", 10);
    redis_subscribe_flush(&f->broker);
    give_slot_to(f, &f->shards[1]);
    confirm(&f->shards[1]);
    redis_position_told(&f->shards[1], STR(KEY), STR("e"), 5, STR(""));
    answer(f, &f->shards[1], NULL);
    give_slot_to(f, here);
    node_unsubscribe(&f->node, "c");
    redis_subscribe_flush(&f->broker);
    node_subscribe(&f->node, "c", 10);
    redis_subscribe_flush(&f->broker);
    confirm(here); /* too late */
    confirm(here);
    redis_subscribe_ended(here, STR(KEY));
    assert_int_equal(here->commands.expected.count, 0);
    confirm(here);
    assert_int_equal(here->commands.expected.count, 1);
}

/* It is asked there as long as the slot is on its way. */
static void asks_again_when_the_server_that_was_to_have_it_is_lost(void **state)
{
    static const char *const ends[] = {"lost", "LOADING Redis is loading the dataset in memory"};
    struct fixture *f = *state;
    struct redis_shard *there = &f->shards[1];
    join(f);
    reconnect(f);
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        there->commands.state = there->subscriber.state = REDIS_READY;
        answer(f, f->owner, "ASK 1 127.0.0.1:1");
        answer(f, there, NULL); /* ASKING */
        there->commands.state = there->subscriber.state = REDIS_CLOSING;
        answer(f, there, ends[i]);
        assert_int_equal(f->owner->commands.expected.count, 1);
    }
    tell(f->owner, 6);
    assert_told(f, 6);
}

/* Until the refusal has passed nothing else works, and the connections are given up. The position is asked for when
 * they are back.
 */
static void gives_up_nothing_for_a_refusal_that_passes(void **state)
{
    static const char *const refusals[] = {"LOADING Redis is loading the dataset in memory",
                                           "BUSY Redis is busy running a script.",
                                           "MASTERDOWN Link with MASTER is down"};
    struct fixture *f = *state;
    node_subscribe(&f->node, "c", 10);
    redis_subscribe_flush(&f->broker);
    confirm(f->owner);
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        f->owner->commands.state = f->owner->subscriber.state = REDIS_CLOSING;
        answer(f, f->owner, refusals[i]);
        f->owner->commands.state = f->owner->subscriber.state = REDIS_READY;
        assert_int_equal(f->node.subscribed_count, 0);
        reconnect(f);
    }
    tell(f->owner, 5);
    assert_int_equal(f->node.subscribed_count, 1);
    assert_int_equal(f->node.subscribed[0].offset, 5);
}

/* ---- a position that does not come ---- */

static void send_canary(struct fixture *f, struct redis_shard *shard)
{
    shard->canary = ++f->broker.topology.canary;
}

/* The server of the slot's future has made the position, and the other one has not got it to pass it on. */
static void asks_again_when_a_canary_overtakes_a_position(void **state)
{
    struct fixture *f = *state;
    struct redis_shard *here = &f->shards[0], *other = &f->shards[1];
    join(f);
    reconnect(f);
    send_canary(f, here);
    answer(f, here, NULL);
    redis_position_ask_untold(here); /* that canary is older */
    assert_int_equal(here->commands.expected.count, 0);
    send_canary(f, other);
    redis_position_ask_untold(other); /* another server's canary tells nothing */
    assert_int_equal(other->commands.expected.count, 0);
    for (int i = 0; i < 2; i++) {
        send_canary(f, here);
        redis_position_ask_untold(here);
        assert_int_equal(here->commands.expected.count, 1);
        send_canary(f, here);
        redis_position_ask_untold(here); /* it has no answer yet */
        assert_int_equal(here->commands.expected.count, 1);
        answer(f, here, NULL);
    }
    tell(here, 6);
    assert_told(f, 6);
    send_canary(f, here);
    redis_position_ask_untold(here);
    assert_int_equal(here->commands.expected.count, 0);
}

static void asks_for_no_untold_position_after_a_loss_or_an_end(void **state)
{
    struct fixture *f = *state;
    struct redis_shard *here = &f->shards[0];
    join(f);
    for (int ends = 0; ends < 2; ends++) {
        reconnect(f);
        answer(f, here, NULL);
        send_canary(f, here);
        if (ends) {
            node_unsubscribe(&f->node, "c");
            redis_subscribe_flush(&f->broker);
        } else {
            redis_subscribe_reset(here);
        }
        redis_position_ask_untold(here);
        assert_int_equal(here->commands.expected.count, 0);
    }
    redis_subscribe_ended(here, STR(KEY)); /* the struct is freed, and in no list */
    assert_true(list_is_empty(&f->broker.subscriptions.untold));
}

/* ---- the revoked tokens ---- */

static void answer_page(struct fixture *f, struct redis_shard *shard)
{
    struct redis_connection *connection = &shard->commands;
    char zero[] = "0"; /* there are no more pages */
    redisReply cursor = {.type = REDIS_REPLY_STRING, .str = zero, .len = 1}, members = {.type = REDIS_REPLY_ARRAY};
    redisReply *elements[] = {&cursor, &members};
    redisReply page = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = elements};
    assert_int_equal(connection->expected.count, 1);
    struct redis_expected first = *(struct redis_expected *)ring_at(&connection->expected, 0, sizeof first);
    ring_drop(&connection->expected);
    first.done(&f->broker, first.argument, &page);
}

/* The other server goes on. So nothing else has them read. */
static void reads_revocations_again_when_the_server_that_was_to_have_them_is_lost(void **state)
{
    static const char *const ends[] = {"lost", "LOADING Redis is loading the dataset in memory"};
    struct fixture *f = *state;
    struct redis_shard *here = &f->shards[0], *there = &f->shards[1];
    buf_append(&f->broker.revoked_key, STR("test:revoked"));
    redis_revocations_load(&f->broker);
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        there->commands.state = there->subscriber.state = REDIS_READY;
        answer(f, here, "ASK 1 127.0.0.1:1");
        answer(f, there, NULL); /* ASKING */
        there->commands.state = there->subscriber.state = REDIS_CLOSING;
        answer(f, there, ends[i]);
        assert_int_equal(here->commands.expected.count, 1);
    }
    assert_int_equal(f->node.revocation_lists, 0);
    answer_page(f, here);
    assert_int_equal(f->node.revocation_lists, 1);
    assert_int_equal(here->commands.expected.count, 0);
    buf_fini(&f->broker.revoked_key);
}

int main(void)
{
#define PLAYED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        PLAYED(asks_again_when_a_history_is_further_on),
        PLAYED(believes_the_position_that_is_asked_after_a_history),
        PLAYED(asks_where_it_has_moved_to),
        PLAYED(waits_for_the_map_when_a_server_ends_a_subscription),
        PLAYED(tells_a_loss_before_what_comes_from_a_server_that_the_slot_returns_to),
        PLAYED(asks_a_server_that_was_up_whether_it_has_the_slot),
        PLAYED(tells_nothing_before_a_server_is_known_as_primary),
        PLAYED(takes_the_end_of_a_subscription_for_no_confirmation),
        PLAYED(takes_confirmations_in_the_order_of_commands),
        PLAYED(asks_again_when_the_server_that_was_to_have_it_is_lost),
        PLAYED(gives_up_nothing_for_a_refusal_that_passes),
        PLAYED(asks_again_when_a_canary_overtakes_a_position),
        PLAYED(asks_for_no_untold_position_after_a_loss_or_an_end),
        PLAYED(reads_revocations_again_when_the_server_that_was_to_have_them_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
