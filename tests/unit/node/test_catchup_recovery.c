/* test_catchup_recovery.c - subscribers that recover, and what is kept in memory for them: one test a situation. */
#include "tests/support/unit.h"
#include "tests/unit/node/catchup_rig.h"

/* --- recovery --------------------------------------------------------------------------------------------------- */

static void test_recovery_of_nothing(void **state)
{
    (void)state;
    recover("e", 5, NULL);
    expect("found1:5");
}

static void test_recovery_by_offset(void **state)
{
    (void)state;
    recover("e", 2, NULL);
    expect("read1 after:2");
    answer();
    expect("found1:2 with:3-5");
    event(6);
    recover("e", 3, NULL); /* its events are kept by now, with the new one */
    expect("post:6 found2:3 with:4-6");
}

static void test_recovery_before_the_position(void **state)
{
    (void)state;
    recover("e", 5, NULL);
    recover("e", 3, NULL);
    event(5); /* the first position has yet to come */
    expect("");
    position();
    expect("found1:5 read1 after:3");
    answer();
    expect("found2:3 with:4-5");
}

static void test_recovery_by_id(void **state)
{
    (void)state;
    recover("e", 5, "p-5");
    expect("found1:5");
    recover("e", 3, "p-3"); /* the read begins with the event that has the id */
    expect("read1 after:2");
    answer();
    expect("found2:3 with:4-5");
    recover("e", 4, "p-4");
    expect("found3:4 with:5-5");
}

/* This node may be the one that is behind, so a page is read before the client's event is called lost. */
static void test_recovery_by_an_id_of_another_history(void **state)
{
    (void)state;
    recover("e", 5, "q-5");
    expect("read1 after:4");
    answer();
    expect("lost1:offset_regressed");
    recover("e", 4, "q-4");
    answer();
    expect("read2 after:3 lost2:offset_regressed");
    recover("e", 0, "q-0"); /* no event has that offset */
    expect("lost3:history_too_short");
}

static void test_recovery_by_an_id_that_is_gone(void **state)
{
    (void)state;
    rig.first = 4;
    ask(0, "e", 3, "p-3");
    recover("e", 3, NULL);
    answer();
    expect("read1 after:2 lost1:history_too_short found2:3 with:4-5");
}

static void test_recovery_of_the_last_events(void **state)
{
    (void)state;
    recover("", 2, NULL);
    answer();
    expect("read1 after:3 found1:3 with:4-5");
}

static void test_recovery_of_more_than_is_kept(void **state)
{
    (void)state;
    rig.first = 4;
    recover("", 100, NULL);
    answer();
    expect("read1 after:0 found1:3 with:4-5");
}

static void test_recovery_too_late(void **state)
{
    (void)state;
    rig.first = 4;
    recover("e", 2, NULL);
    answer();
    expect("read1 after:2 lost1:history_too_short");
    recover("e", 1, NULL); /* known by now */
    expect("lost2:history_too_short");
}

/* The client has seen events on another node that have not come here. */
static void test_recovery_ahead_of_this_node(void **state)
{
    (void)state;
    rig.last = 8;
    recover("e", 7, NULL);
    answer();
    expect("read1 after:5 post:6 post:7 post:8 found1:7 with:8-8");
    recover("e", 11, NULL); /* and one that the broker does not have */
    answer();
    expect("read2 after:8 lost2:offset_regressed");
}

/* A page that was read before the recovery came shows nothing about it. */
static void test_recovery_needs_a_read_of_its_own(void **state)
{
    (void)state;
    event(7);
    struct history_read *page = make_page();
    recover("e", 8, NULL);
    give_page(page);
    expect("read1 after:5 post:6 post:7 read2 after:7");
    rig.last = 8;
    answer();
    expect("post:8 found1:8");
}

static void test_recovery_across_a_hole(void **state)
{
    (void)state;
    event(8);
    recover("e", 3, NULL);
    expect("read1 after:5");
    answer();
    expect("post:6 post:7 post:8 read2 after:3"); /* the hole first */
    answer();
    expect("found1:3 with:4-8");
}

static void test_recovery_from_another_epoch(void **state)
{
    (void)state;
    recover("d", 2, NULL);
    answer();
    expect("read1 after:5 lost1:epoch_changed");
}

/* The client has seen the new epoch on another node. This node learns it from the page. */
static void test_recovery_from_the_next_epoch(void **state)
{
    (void)state;
    recover("f", 2, NULL);
    rig.epoch = "f";
    rig.last = 3;
    answer();
    expect("read1 after:5 gap:epoch_changed:f:3 read2 after:2");
    answer();
    expect("found1:2 with:3-3");
}

static void test_epoch_changes_while_a_recovery_waits(void **state)
{
    (void)state;
    recover("e", 3, NULL);
    rig.last = 0;
    event_in("f", 1);
    expect("read1 after:3 gap:epoch_changed:f:0 post:1");
    rig.epoch = "f";
    answer(); /* it was sent for the old epoch: read again */
    expect("read2 after:1");
    answer();
    expect("lost1:epoch_changed");
}

static void test_history_is_gone_while_a_recovery_waits(void **state)
{
    (void)state;
    recover("e", 3, NULL);
    rig.epoch = "";
    rig.last = 0;
    answer();
    expect("read1 after:3"); /* the broker begins an epoch, and tells it */
    rig.epoch = "f";
    located();
    expect("gap:epoch_changed:f:0");
    tick(200);
    answer();
    expect("read2 after:0 lost1:epoch_changed");
}

static void test_history_is_taken_while_a_recovery_waits(void **state)
{
    (void)state;
    recover("e", 3, NULL);
    catchup_follow_rule(&rig.catchup, false);
    expect("read1 after:3 gap:history_changed::0 lost1:history_unavailable");
}

static void test_recovery_fails_with_its_read(void **state)
{
    (void)state;
    recover("e", 3, NULL);
    fail_read(ERR_INTERNAL_ERROR);
    expect("read1 after:3 lost1:history_unavailable");
}

static void test_recovery_while_the_broker_is_down(void **state)
{
    (void)state;
    recover("e", 3, NULL);
    fail_read(ERR_UNAVAILABLE);
    tick_as(40000, false);
    fail_read(ERR_UNAVAILABLE);
    expect("read1 after:3 read2 after:3");
    rig.last = 6;
    position();
    answer();
    expect("interrupted read3 after:4 post:6 read4 after:3");
    answer();
    expect("found1:3 with:4-6");
}

static void test_recovery_in_pages(void **state)
{
    (void)state;
    rig.last = 600;
    position();
    answer();
    answer();
    answer();
    assert_int_equal(rig.catchup.offset, 600);
    rig.said.len = 0;
    recover("e", 300, NULL);
    expect("found1:300 with:301-556");
    recover("e", 556, NULL); /* it asks on */
    expect("found2:556 with:557-600");
}

static void test_recoveries_share_a_read_and_a_replay(void **state)
{
    (void)state;
    ask(0, "e", 4, NULL);
    ask(1, "e", 2, NULL);
    ask(2, "e", 3, NULL);
    expect(""); /* until the turn ends */
    catchup_serve_due(&rig.set);
    answer();
    expect("read1 after:2 found1:4 found2:2 found3:3 with:3-5");
}

static void test_worker_leaves(void **state)
{
    (void)state;
    ask(0, "e", 3, NULL);
    ask(1, "e", 4, NULL);
    catchup_drop_recoveries(&rig.catchup, 0);
    catchup_serve_due(&rig.set);
    answer();
    expect("read1 after:4 found2:4 with:5-5");
}

/* --- memory ----------------------------------------------------------------------------------------------------- */

static void test_window_is_kept_while_it_is_asked_for(void **state)
{
    (void)state;
    recover("e", 2, NULL);
    answer();
    for (int second = 0; second < 9; second++)
        tick(1000);
    recover("e", 2, NULL);
    expect("read1 after:2 found1:2 with:3-5 found2:2 with:3-5");
    assert_true(rig.set.budget.bytes > 0);
    for (int second = 0; second < 12; second++)
        tick(1000);
    assert_null(rig.catchup.work);
    assert_int_equal(rig.set.budget.bytes, 0);
}

/* Recoveries that ask for the newest events only do not keep all older ones. */
static void test_window_forgets_what_nobody_asks_for(void **state)
{
    (void)state;
    recover("e", 2, NULL);
    answer();
    for (int second = 0; second < 40; second++) {
        event(rig.last + 1);
        recover("e", rig.last - 1, NULL);
        tick(1000);
    }
    rig.said.len = 0;
    assert_null(catchup_message(&rig.catchup, 10));
    assert_non_null(catchup_message(&rig.catchup, rig.last));
}

static void test_recovery_without_memory(void **state)
{
    (void)state;
    rig.set.budget.bytes_max = 0;
    recover("e", 2, NULL);
    answer();
    expect("read1 after:2 found1:2 with:3-5");
    assert_int_equal(rig.set.budget.bytes, 0);
}

#define AT_FIVE(test) cmocka_unit_test_setup_teardown(test, catchup_rig_setup_at_five, catchup_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_FIVE(test_recovery_of_nothing),
        AT_FIVE(test_recovery_by_offset),
        cmocka_unit_test_setup_teardown(test_recovery_before_the_position, catchup_rig_setup, catchup_rig_teardown),
        AT_FIVE(test_recovery_by_id),
        AT_FIVE(test_recovery_by_an_id_of_another_history),
        AT_FIVE(test_recovery_by_an_id_that_is_gone),
        AT_FIVE(test_recovery_of_the_last_events),
        AT_FIVE(test_recovery_of_more_than_is_kept),
        AT_FIVE(test_recovery_too_late),
        AT_FIVE(test_recovery_ahead_of_this_node),
        AT_FIVE(test_recovery_needs_a_read_of_its_own),
        AT_FIVE(test_recovery_across_a_hole),
        AT_FIVE(test_recovery_from_another_epoch),
        AT_FIVE(test_recovery_from_the_next_epoch),
        AT_FIVE(test_epoch_changes_while_a_recovery_waits),
        AT_FIVE(test_history_is_gone_while_a_recovery_waits),
        AT_FIVE(test_history_is_taken_while_a_recovery_waits),
        AT_FIVE(test_recovery_fails_with_its_read),
        AT_FIVE(test_recovery_while_the_broker_is_down),
        AT_FIVE(test_recovery_in_pages),
        AT_FIVE(test_recoveries_share_a_read_and_a_replay),
        AT_FIVE(test_worker_leaves),
        AT_FIVE(test_window_is_kept_while_it_is_asked_for),
        AT_FIVE(test_window_forgets_what_nobody_asks_for),
        AT_FIVE(test_recovery_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
