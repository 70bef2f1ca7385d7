/* test_reads.c - pages of histories and of presence on their way to a broker that answers when told. So many are
 * under way at once, so many wait, and each is answered. Each test runs for both kinds. */
#include "common/base/alloc.h"
#include "server/core/history.h"
#include "server/core/presence.h"
#include "tests/support/unit.h"
#include "tests/unit/node/router_rig.h"

enum { AT_ONCE = 16, HISTORIES_WAIT = 10000, MEMBERS_WAIT = 1000 };

static struct fixture {
    struct router_rig rig;
    enum request_kind kind;
    size_t wait;
    struct request *asked[2 * HISTORIES_WAIT]; /* what the broker was asked, in order */
    size_t asked_count;
    size_t answered;
    size_t refused; /* of the answered */
    enum err last;
    struct mailbox asker;
} f;

static void on_ask(struct broker *broker, struct request *request)
{
    (void)broker;
    f.asked[f.asked_count++] = request;
}

static void setup(enum request_kind kind, size_t wait)
{
    static const struct broker_ops ops = {.ask = on_ask};
    memset(&f, 0, sizeof f);
    f.kind = kind;
    f.wait = wait;
    router_rig_setup(&f.rig, &ops);
    mailbox_init(&f.asker, &f.rig.turn, &f);
}

static int setup_histories(void **state)
{
    (void)state;
    setup(REQUEST_HISTORY, HISTORIES_WAIT);
    return 0;
}

static int setup_members(void **state)
{
    (void)state;
    setup(REQUEST_PRESENCE_READ, MEMBERS_WAIT);
    return 0;
}

static void done(struct request *request, void *owner)
{
    assert_ptr_equal(owner, &f);
    f.last = request_code(request);
    f.refused += f.last == ERR_UNAVAILABLE;
    f.answered++;
    request_destroy(request);
}

/* Its number is kept in its session's slot. */
static struct request *make_read(size_t number)
{
    static const struct presence_policy policy = {.kept = true};
    struct request *request = f.kind == REQUEST_HISTORY
                                  ? &history_read_create(STR("c"), STR(""))->base
                                  : &presence_read_create(&policy, STR("c"), STR(""), 1, STR(""))->base;
    request->session.slot = (uint32_t)number;
    request->reply_to = &f.asker;
    request->done = done;
    return request;
}

static void ask(size_t count)
{
    for (size_t i = 0; i < count; i++)
        router_ask(&f.rig.router, make_read(i));
    uv_run(&f.rig.loop, UV_RUN_NOWAIT);
}

static void answer(size_t index)
{
    router_answered(&f.rig.router, f.asked[index]);
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
        assert_int_equal(f.asked[i]->session.slot, i); /* in their order */
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
    ask(AT_ONCE + f.wait + 7);
    assert_int_equal(f.asked_count, AT_ONCE);
    assert_int_equal(f.answered, 7);
    assert_int_equal(f.refused, 7);
    answer(0); /* room for one */
    ask(2);
    assert_int_equal(f.refused, 8);
    for (size_t i = 1; i < f.asked_count; i++)
        answer(i);
    assert_int_equal(f.answered, AT_ONCE + f.wait + 9);
    end();
}

static void test_who_waits_at_the_end_is_answered(void **state)
{
    (void)state;
    ask(AT_ONCE + 5);
    router_rig_close(&f.rig); /* the broker has closed, and was not asked by those that waited */
    uv_run(&f.rig.loop, UV_RUN_NOWAIT);
    assert_int_equal(f.asked_count, AT_ONCE);
    assert_int_equal(f.refused, 5);
    for (size_t i = 0; i < AT_ONCE; i++)
        request_destroy(f.asked[i]);
    mailbox_close(&f.asker);
    router_rig_teardown(&f.rig);
}

static void test_a_page_of_another_epoch_is_a_conflict(void **state)
{
    static const struct {
        const char *asked;
        const char *found;
        enum err err;
    } cases[] = {{"e", "f", ERR_CONFLICT}, {"e", "e", ERR_NONE}, {"", "f", ERR_NONE}, {"e", "", ERR_CONFLICT}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct request *request = make_read(i);
        history_read_expect(history_read_of(request), str_from_cstr(cases[i].asked));
        router_ask(&f.rig.router, request);
        uv_run(&f.rig.loop, UV_RUN_NOWAIT);
        strcpy(history_read_of(request)->epoch, cases[i].found);
        answer(i);
        assert_int_equal(f.last, cases[i].err);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_next_one_starts_when_one_is_answered, setup_histories),
        cmocka_unit_test_setup(test_the_next_one_starts_when_one_is_answered, setup_members),
        cmocka_unit_test_setup(test_more_than_may_wait_are_refused, setup_histories),
        cmocka_unit_test_setup(test_more_than_may_wait_are_refused, setup_members),
        cmocka_unit_test_setup(test_who_waits_at_the_end_is_answered, setup_histories),
        cmocka_unit_test_setup(test_who_waits_at_the_end_is_answered, setup_members),
        cmocka_unit_test_setup(test_a_page_of_another_epoch_is_a_conflict, setup_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
