/* test_catchup.c - events, reads, gaps and a broker that was away: one test a situation. */
#include "tests/support/unit.h"
#include "tests/unit/node/catchup_rig.h"

/* --- live events ------------------------------------------------------------------------------------------------ */

static void test_events_in_order(void **state)
{
    (void)state;
    event(6);
    event(7);
    expect("post:6 post:7");
    assert_null(rig.catchup.work); /* nothing is kept for it */
    assert_string_equal(rig.catchup.id, "p-7");
}

static void test_duplicate(void **state)
{
    (void)state;
    event(5);
    event(6);
    event(6);
    event(2);
    expect("post:6");
}

static void test_hole(void **state)
{
    (void)state;
    event(8);
    event(9);
    expect("read1 after:5");
    answer();
    expect("post:6 post:7 post:8 post:9");
    event(10);
    expect("post:10");
}

/* The page ends at the second hole: what is held between both is posted from memory. */
static void test_two_holes(void **state)
{
    (void)state;
    event(7);
    struct history_read *page = make_page();
    event(8);
    event(10);
    expect("read1 after:5");
    give_page(page);
    expect("post:6 post:7 post:8 read2 after:8");
    answer();
    expect("post:9 post:10");
}

static void test_page_is_ahead_of_live_events(void **state)
{
    (void)state;
    rig.last = 9;
    event(7);
    answer();
    expect("read1 after:5 post:6 post:7 post:8 post:9");
    event(8);
    event(9);
    event(10);
    expect("post:10");
}

static void test_missing_event_comes_late(void **state)
{
    (void)state;
    event(7);
    event(6);
    expect("read1 after:5 post:6 post:7");
    answer();
    expect("");
}

static void test_hole_longer_than_a_page(void **state)
{
    (void)state;
    event(600);
    expect("read1 after:5");
    answer();
    rig.said.len = 0;
    assert_int_equal(rig.catchup.offset, 5 + CATCHUP_PAGE_EVENTS);
    answer();
    answer();
    assert_int_equal(rig.catchup.offset, 600);
    rig.said.len = 0;
}

static void test_hole_without_memory(void **state)
{
    (void)state;
    rig.set.budget.bytes_max = 0;
    event(7);
    struct history_read *page = make_page();
    event(8); /* is not held: it is read */
    give_page(page);
    expect("read1 after:5 post:6 post:7 read2 after:7");
    answer();
    expect("post:8");
}

/* The rule of this node gives no history. Other nodes number their events all the same. */
static void test_channel_without_history(void **state)
{
    (void)state;
    catchup_init(&rig.catchup, &rig.set, false);
    position();
    assert_string_equal(rig.catchup.epoch, "");
    event(6);
    event(9);
    expect("post:0 post:0");
    position();
    expect("gap:connection_lost::0");
    recover("e", 3, NULL);
    recover("", 3, NULL);
    expect("lost1:history_unavailable found2:0");
}

/* --- reads ------------------------------------------------------------------------------------------------------ */

static void test_answer_that_nobody_awaits(void **state)
{
    (void)state;
    event(7);
    struct history_read *early = make_page(), *again = make_page();
    early->number = 99;
    give_page(early);
    expect("read1 after:5");
    answer();
    expect("post:6 post:7");
    give_page(again);
    expect("");
}

/* The read waits in a queue. It begins where the channel is when its turn comes. */
static void test_read_waits_for_its_turn(void **state)
{
    (void)state;
    rig.reads_wait = true;
    event(8);
    event(6);
    expect("read1 post:6");
    begin_read();
    expect("after:6");
    answer();
    expect("post:7 post:8");
}

static void test_read_that_is_not_wanted_any_more(void **state)
{
    (void)state;
    rig.reads_wait = true;
    event(7);
    event(6);
    begin_read();
    expect("read1 post:6 post:7 unwanted");
    event(9); /* the next one is asked for as usual */
    expect("read2");
}

/* The page was read from a history that has ended meanwhile: it is dropped, and what is missing is read again. */
static void test_answer_of_before_a_jump(void **state)
{
    (void)state;
    event(8);
    struct history_read *late = make_page();
    expect("read1 after:5");
    rig.epoch = "f";
    rig.last = 0;
    event(3);
    expect("gap:epoch_changed:f:2 post:3");
    event(5);
    give_page(late);
    expect("read2 after:3");
    answer();
    expect("post:4 post:5");
}

static void test_read_fails_and_is_tried_again(void **state)
{
    (void)state;
    event(7);
    fail_read(ERR_UNAVAILABLE);
    tick(100);
    expect("read1 after:5");
    tick(100);
    expect("read2 after:5");
    answer();
    expect("post:6 post:7");
}

/* --- gaps, one for each reason and place ------------------------------------------------------------------------ */

static void test_gap_history_too_short(void **state)
{
    (void)state;
    rig.first = 8;
    event(9);
    answer();
    expect("read1 after:5 gap:history_too_short:e:7 post:8 post:9");
    rig.first = 100; /* nothing is kept */
    event(12);
    answer();
    expect("read2 after:9 gap:history_too_short:e:12");
}

static void test_gap_history_unavailable_by_an_error(void **state)
{
    (void)state;
    event(8);
    event(9);
    fail_read(ERR_INTERNAL_ERROR);
    expect("read1 after:5 gap:history_unavailable:e:7 post:8 post:9");
}

static void test_gap_history_unavailable_after_thirty_seconds(void **state)
{
    (void)state;
    tick(1000);
    event(8);
    for (int i = 0; i < 300; i++) {
        fail_read(ERR_UNAVAILABLE);
        rig.said.len = 0;
        tick(100);
    }
    rig.said.len = 0;
    tick(100);
    expect("gap:history_unavailable:e:7 post:8");
    fail_read(ERR_UNAVAILABLE);
}

static void test_gap_history_unavailable_by_the_position(void **state)
{
    (void)state;
    rig.epoch = "";
    rig.last = 0;
    position();
    expect("gap:history_unavailable::0");
    rig.epoch = "f";
    rig.last = 2;
    located();
    expect("gap:history_changed:f:2");
}

static void test_gap_epoch_changed_by_an_event(void **state)
{
    (void)state;
    rig.last = 0;
    event_in("f", 4);
    event_in("f", 5);
    expect("gap:epoch_changed:f:3 post:4 post:5");
}

static void test_gap_epoch_changed_by_a_page(void **state)
{
    (void)state;
    event(8);
    rig.epoch = "f";
    rig.last = 9;
    answer();
    expect("read1 after:5 gap:epoch_changed:f:9");
}

static void test_gap_epoch_changed_by_a_position(void **state)
{
    (void)state;
    rig.epoch = "f";
    rig.last = 2;
    position();
    expect("gap:epoch_changed:f:2");
    rig.epoch = "g";
    rig.last = 0;
    located();
    expect("gap:epoch_changed:g:0");
    located(); /* known by now */
    expect("");
}

static void test_gap_offset_regressed_by_a_position(void **state)
{
    (void)state;
    rig.last = 3;
    position();
    event(4);
    expect("gap:offset_regressed:e:3 post:4");
}

static void test_gap_offset_regressed_by_an_id(void **state)
{
    (void)state;
    rig.past = "q"; /* offset 5 is another event now */
    position();
    expect("gap:offset_regressed:e:5");
}

static void test_gap_offset_regressed_by_a_page(void **state)
{
    (void)state;
    event(7);
    rig.last = 4;
    answer();
    expect("read1 after:5 gap:offset_regressed:e:4");
}

static void test_gap_history_changed_by_the_rule(void **state)
{
    (void)state;
    catchup_follow_rule(&rig.catchup, false);
    expect("gap:history_changed::0");
    event(6);
    expect("post:0");
    catchup_follow_rule(&rig.catchup, true);
    assert_int_equal(rig.catchup.phase, CATCHUP_LOCATING);
    expect("");
    located();
    expect("gap:history_changed:e:6");
    event(7);
    expect("post:7");
}

/* The first event tells the position, when it comes before the broker's answer. */
static void test_gap_history_changed_by_an_event(void **state)
{
    (void)state;
    catchup_follow_rule(&rig.catchup, false);
    catchup_follow_rule(&rig.catchup, true);
    event(6);
    expect("gap:history_changed::0 gap:history_changed:e:5 post:6");
    located();
    expect("");
}

/* --- the broker is down and back -------------------------------------------------------------------------------- */

static void test_broker_back_with_nothing_new(void **state)
{
    (void)state;
    position();
    expect("interrupted");
}

/* The page must show the last event posted: the read begins with it. */
static void test_broker_back_with_more(void **state)
{
    (void)state;
    rig.last = 7;
    position();
    answer();
    expect("interrupted read1 after:4 post:6 post:7");
}

static void test_broker_back_with_another_last_event(void **state)
{
    (void)state;
    rig.last = 7;
    rig.past = "q";
    position();
    answer();
    expect("interrupted read1 after:4 gap:offset_regressed:e:5 post:6 post:7");
}

/* The last event posted is gone. The broker may still know its id. If not, it may have been another event. */
static void test_broker_back_and_the_last_event_is_gone(void **state)
{
    (void)state;
    rig.last = 7;
    rig.first = 6;
    rig.knows_before = true;
    position();
    answer();
    expect("interrupted read1 after:4 post:6 post:7");
    rig.last = 9;
    rig.first = 8;
    rig.knows_before = false;
    position();
    answer();
    expect("interrupted read2 after:6 gap:history_too_short:e:7 post:8 post:9");
}

/* A read was under way when the connection was lost: its page begins too late to show the last event posted. */
static void test_broker_back_during_a_read(void **state)
{
    (void)state;
    event(7);
    struct history_read *page = make_page();
    position();
    give_page(page);
    expect("read1 after:5 interrupted read2 after:4");
    answer();
    expect("post:6 post:7");
}

/* An event that was held has been lost by Redis. */
static void test_held_events_do_not_outlive_the_connection(void **state)
{
    (void)state;
    event(7);
    fail_read(ERR_UNAVAILABLE);
    rig.last = 5;
    position();
    event(6);
    expect("read1 after:5 interrupted post:6");
}

static void test_no_giving_up_while_the_broker_is_down(void **state)
{
    (void)state;
    event(7);
    for (int i = 0; i < 400; i++) {
        fail_read(ERR_UNAVAILABLE);
        rig.said.len = 0;
        tick_as(100, false);
    }
    rig.said.len = 0;
    fail_read(ERR_UNAVAILABLE);
    position(); /* at once, whatever has failed before */
    answer();
    expect("interrupted read202 after:4 post:6 post:7");
}

#define AT_FIVE(test) cmocka_unit_test_setup_teardown(test, catchup_rig_setup_at_five, catchup_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_FIVE(test_events_in_order),
        AT_FIVE(test_duplicate),
        AT_FIVE(test_hole),
        AT_FIVE(test_two_holes),
        AT_FIVE(test_page_is_ahead_of_live_events),
        AT_FIVE(test_missing_event_comes_late),
        AT_FIVE(test_hole_longer_than_a_page),
        AT_FIVE(test_hole_without_memory),
        cmocka_unit_test_setup_teardown(test_channel_without_history, catchup_rig_setup, catchup_rig_teardown),
        AT_FIVE(test_answer_that_nobody_awaits),
        AT_FIVE(test_read_waits_for_its_turn),
        AT_FIVE(test_read_that_is_not_wanted_any_more),
        AT_FIVE(test_answer_of_before_a_jump),
        AT_FIVE(test_read_fails_and_is_tried_again),
        AT_FIVE(test_gap_history_too_short),
        AT_FIVE(test_gap_history_unavailable_by_an_error),
        AT_FIVE(test_gap_history_unavailable_after_thirty_seconds),
        AT_FIVE(test_gap_history_unavailable_by_the_position),
        AT_FIVE(test_gap_epoch_changed_by_an_event),
        AT_FIVE(test_gap_epoch_changed_by_a_page),
        AT_FIVE(test_gap_epoch_changed_by_a_position),
        AT_FIVE(test_gap_offset_regressed_by_a_position),
        AT_FIVE(test_gap_offset_regressed_by_an_id),
        AT_FIVE(test_gap_offset_regressed_by_a_page),
        AT_FIVE(test_gap_history_changed_by_the_rule),
        AT_FIVE(test_gap_history_changed_by_an_event),
        AT_FIVE(test_broker_back_with_nothing_new),
        AT_FIVE(test_broker_back_with_more),
        AT_FIVE(test_broker_back_with_another_last_event),
        AT_FIVE(test_broker_back_and_the_last_event_is_gone),
        AT_FIVE(test_broker_back_during_a_read),
        AT_FIVE(test_held_events_do_not_outlive_the_connection),
        AT_FIVE(test_no_giving_up_while_the_broker_is_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
