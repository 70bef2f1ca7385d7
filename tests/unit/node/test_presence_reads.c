/* test_presence_reads.c - pages of presence on their way to a broker that answers when told: so many at once, so many
 * that wait, and an answer for each. */
#include "common/base/alloc.h"
#include "server/core/presence.h"
#include "tests/support/unit.h"
#include "tests/unit/node/router_rig.h"

enum { AT_ONCE = 16, WAIT = 1000 };

static struct fixture {
    struct router_rig rig;
    struct presence_read *asked[2 * WAIT]; /* what the broker was asked, in order */
    size_t asked_count;
    size_t answered;
    size_t refused; /* of the answered */
    struct mailbox asker;
} f;

static void on_ask(struct broker *broker, struct broker_request *request)
{
    (void)broker;
    f.asked[f.asked_count++] = CONTAINER_OF(request, struct presence_read, base);
}

static int setup(void **state)
{
    static const struct broker_ops ops = {.ask = on_ask};
    (void)state;
    memset(&f, 0, sizeof f);
    router_rig_setup(&f.rig, &ops);
    mailbox_init(&f.asker, &f.rig.turn, &f);
    return 0;
}

static void done(struct broker_request *request, void *owner)
{
    assert_ptr_equal(owner, &f);
    assert_true(request->error.code == ERR_NONE || request->error.code == ERR_UNAVAILABLE);
    f.refused += request->error.code == ERR_UNAVAILABLE;
    f.answered++;
    presence_read_destroy(CONTAINER_OF(request, struct presence_read, base));
}

static void ask(size_t count)
{
    static const struct presence_policy policy = {.kept = true};
    for (size_t i = 0; i < count; i++) {
        struct presence_read *read = presence_read_create(&policy, STR("c"), STR(""), i % 1000 + 1);
        read->base.reply_to = &f.asker;
        read->base.done = done;
        router_ask(&f.rig.router, &read->base);
    }
    uv_run(&f.rig.loop, UV_RUN_NOWAIT);
}

static void answer(size_t index)
{
    broker_request_answer(&f.asked[index]->base);
    uv_run(&f.rig.loop, UV_RUN_NOWAIT);
}

static void end(void)
{
    router_rig_close(&f.rig);
    mailbox_close(&f.asker);
    router_rig_teardown(&f.rig);
}

static void test_the_next_one_starts_when_one_is_answered(void **state)
{
    (void)state;
    ask(100);
    assert_int_equal(f.asked_count, AT_ONCE);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(f.asked[i]->limit, i + 1); /* in their order */
        answer(i);
        assert_int_equal(f.answered, i + 1);
        assert_int_equal(f.asked_count, i + 1 + AT_ONCE < 100 ? i + 1 + AT_ONCE : 100);
    }
    assert_int_equal(f.refused, 0);
    end();
}

static void test_more_than_may_wait_are_refused(void **state)
{
    (void)state;
    ask(AT_ONCE + WAIT + 7);
    assert_int_equal(f.asked_count, AT_ONCE);
    assert_int_equal(f.answered, 7);
    assert_int_equal(f.refused, 7);
    answer(0); /* room for one */
    ask(2);
    assert_int_equal(f.refused, 8);
    for (size_t i = 1; i < f.asked_count; i++)
        answer(i);
    assert_int_equal(f.answered, AT_ONCE + WAIT + 9);
    end();
}

static void test_who_waits_at_the_end_is_answered(void **state)
{
    (void)state;
    ask(AT_ONCE + 5);
    for (size_t i = 0; i < AT_ONCE; i++)
        broker_request_answer(&f.asked[i]->base); /* the broker's last answers, under way when it has closed */
    end();
    assert_int_equal(f.asked_count, AT_ONCE);
    assert_int_equal(f.answered, AT_ONCE + 5);
    assert_int_equal(f.refused, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_next_one_starts_when_one_is_answered, setup),
        cmocka_unit_test_setup(test_more_than_may_wait_are_refused, setup),
        cmocka_unit_test_setup(test_who_waits_at_the_end_is_answered, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
