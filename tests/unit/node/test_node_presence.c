/* test_node_presence.c - a node's members on their way to a broker that answers when told. Changes are gathered, told
 * again, or forgotten. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "server/node/node_presence.h"
#include "tests/support/unit.h"
#include "tests/unit/node/router_rig.h"

static struct presence_policy policy;

static struct fixture {
    struct router_rig rig;
    struct presence *presence;
    struct presence_update *update; /* the last one, to be answered */
    unsigned updates;
} f;

static void on_ask(struct broker *broker, struct request *request)
{
    (void)broker;
    assert_null(f.update); /* one at a time */
    f.update = CONTAINER_OF(request, struct presence_update, base);
    f.updates++;
}

static int setup(void **state)
{
    static const struct broker_ops ops = {.ask = on_ask};
    (void)state;
    memset(&f, 0, sizeof f);
    policy = (struct presence_policy){.kept = true, .events = true, .ttl_ms = 400};
    router_rig_setup(&f.rig, &ops);
    f.presence = presence_create(&f.rig.router);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_null(f.update);
    router_rig_close(&f.rig);
    presence_destroy(f.presence);
    router_rig_teardown(&f.rig);
    return 0;
}

static void change(const char *user, bool here)
{
    char payload[64];
    struct claims *claims;
    struct error error;
    snprintf(payload, sizeof payload, "{\"sub\":\"%s\"}", user);
    assert_int_equal(claims_parse(str_from_cstr(payload), &claims, &error), ERR_NONE);
    presence_post(&f.rig.router, presence_change_create(here, &policy, STR("c"), claims));
    claims_unref(claims);
}

static void await_update(void)
{
    while (!f.update) /* the update may be asked in the mail, before the loop would wait for input */
        uv_run(&f.rig.loop, UV_RUN_NOWAIT);
}

/* The next update's changes: "+ann -bob 2", the number being this node's connections. */
static void expect_update(const char *text)
{
    char found[200] = "";
    await_update();
    for (size_t i = 0; i < f.update->count; i++) {
        const struct presence_item *item = &f.update->items[i];
        snprintf(found + strlen(found), sizeof found - strlen(found), "%c%.*s ", item->here ? '+' : '-',
                 STR_ARG(item->user));
    }
    snprintf(found + strlen(found), sizeof found - strlen(found), "%llu%s", (unsigned long long)f.update->connections,
             f.update->after ? "" : " begins");
    assert_string_equal(found, text);
}

static void answer(bool known, enum err code)
{
    struct presence_update *update = f.update;
    f.update = NULL;
    update->known = known;
    if (code)
        request_fail(&update->base, code, "no");
    broker_answer(&f.rig.broker, &update->base);
}

static void leave_all(const char *user)
{
    char text[100];
    change(user, false);
    snprintf(text, sizeof text, "-%s 0", user);
    expect_update(text);
    answer(true, ERR_NONE);
}

/* 250 come, in three updates. */
static void tell_many(void)
{
    enum { MANY = 250 };
    size_t told = 0;
    for (int i = 0; i < MANY; i++) {
        char user[16];
        snprintf(user, sizeof user, "u%d", i);
        change(user, true);
    }
    while (told < MANY) {
        await_update();
        told += f.update->count;
        answer(true, ERR_NONE);
    }
    assert_int_equal(f.updates, 3);
    while (f.rig.router.mailbox.local_first)
        uv_run(&f.rig.loop, UV_RUN_NOWAIT);
}

static void test_gathers_and_counts(void **state)
{
    (void)state;
    change("ann", true);
    change("ann", true);
    change("bob", true);
    change("cat", true);
    change("cat", false); /* came and went unseen */
    expect_update("+ann +bob 3 begins");
    change("ann", false);
    change("bob", false);
    answer(true, ERR_NONE);
    expect_update("-bob 1");
    answer(true, ERR_NONE);
    leave_all("ann");
}

static void test_back_while_it_is_told(void **state)
{
    (void)state;
    change("ann", true);
    expect_update("+ann 1 begins");
    change("ann", false);
    change("ann", true);
    answer(true, ERR_NONE);
    expect_update("1"); /* nothing has changed */
    answer(true, ERR_NONE);
    change("ann", false);
    expect_update("-ann 0");
    change("ann", true);
    answer(true, ERR_NONE);
    expect_update("+ann 1");
    answer(true, ERR_NONE);
    leave_all("ann");
}

static void test_signs_of_life(void **state)
{
    (void)state;
    change("ann", true);
    expect_update("+ann 1 begins");
    answer(true, ERR_NONE);
    uint64_t begun_us = uv_hrtime() / 1000;
    expect_update("1");
    assert_true(uv_hrtime() / 1000 - begun_us >= 80000);
    answer(true, ERR_NONE);
    leave_all("ann");
}

static void test_the_broker_has_lost_them(void **state)
{
    (void)state;
    change("ann", true);
    change("bob", true);
    expect_update("+ann +bob 2 begins");
    answer(true, ERR_NONE);
    change("bob", false);
    expect_update("-bob 1");
    answer(false, ERR_NONE);
    expect_update("+ann 1 begins"); /* bob is forgotten there already */
    answer(true, ERR_NONE);
    leave_all("ann");
}

static void test_what_failed_is_told_again(void **state)
{
    (void)state;
    change("ann", true);
    expect_update("+ann 1 begins");
    change("ann", false);
    answer(false, ERR_UNAVAILABLE);
    expect_update("-ann 0 begins"); /* nobody knows whether it had come */
    answer(true, ERR_NONE);
}

/* More than fit into one update, once the broker has lost them. */
static void test_a_crowd_is_told_again(void **state)
{
    static const bool complete[] = {false, false, true};
    (void)state;
    tell_many();
    change("u7", false);
    await_update();
    uint64_t round = f.update->round;
    assert_true(f.update->complete);
    answer(false, ERR_NONE);
    for (size_t i = 0; i < 3; i++) {
        await_update();
        assert_true(f.update->round != round);
        assert_int_equal(f.update->complete, complete[i]);
        assert_int_equal(f.update->after != 0, i != 0);
        answer(true, ERR_NONE);
    }
}

static void test_more_is_left_to_do(void **state)
{
    (void)state;
    policy.ttl_ms = 24 * 3600 * 1000;
    change("ann", true);
    expect_update("+ann 1 begins");
    f.update->more = true;
    answer(true, ERR_NONE);
    expect_update("1"); /* not only with the next sign of life, which is hours away */
    answer(true, ERR_NONE);
    leave_all("ann");
}

/* Else Redis would be told all again whenever it has been away. */
static void test_what_failed_is_not_asked_for(void **state)
{
    (void)state;
    change("ann", true);
    expect_update("+ann 1 begins");
    uint64_t had = f.update->number;
    answer(true, ERR_NONE);
    change("bob", true);
    expect_update("+bob 2");
    assert_int_equal(f.update->after, had);
    uint64_t failed = f.update->number;
    answer(false, ERR_UNAVAILABLE);
    expect_update("+bob 2");
    assert_int_equal(f.update->after, had);
    assert_true(f.update->number > failed);
    answer(true, ERR_NONE);
    change("bob", false);
    expect_update("-bob 1");
    assert_true(f.update->after > failed);
    answer(true, ERR_NONE);
    leave_all("ann");
}

static void answer_at_once(struct broker *broker, struct request *request)
{
    struct presence_update *update = CONTAINER_OF(request, struct presence_update, base);
    f.updates++;
    for (size_t i = 0; i < update->count; i++)
        assert_false(update->items[i].here);
    request_fail(request, ERR_UNAVAILABLE, "no");
    broker_answer(broker, request);
}

static void test_the_end(void **state)
{
    static const struct broker_ops ops = {.ask = answer_at_once};
    (void)state;
    tell_many(); /* all leave at once, and nobody waits for the answers */
    f.rig.broker.ops = &ops;
    f.updates = 0;
    presence_close(f.presence);
    assert_int_equal(f.updates, 3);
}

/* A channel whose update is under way stays: the answer looks for it. */
static void test_forget(void **state)
{
    (void)state;
    change("ann", true);
    change("bob", true);
    expect_update("+ann +bob 2 begins");
    presence_forget(f.presence);
    answer(true, ERR_NONE);
    change("ann", false);
    expect_update("-ann 1");
    answer(true, ERR_NONE);
    change("bob", false); /* gathered, and not told */
    uv_run(&f.rig.loop, UV_RUN_NOWAIT);
    presence_forget(f.presence);
    change("cid", true);
    expect_update("+cid 1 begins");
    answer(true, ERR_NONE);
    leave_all("cid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gathers_and_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
        cmocka_unit_test_setup_teardown(test_back_while_it_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signs_of_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_broker_has_lost_them, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_failed_is_told_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_failed_is_not_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_crowd_is_told_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_is_left_to_do, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
