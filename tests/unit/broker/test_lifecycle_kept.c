/* test_lifecycle_kept.c - see lifecycle_kept.h. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "server/broker/redis/lifecycle_kept.h"
#include "tests/support/unit.h"

static struct lifecycle_kept kept;

static int set_up(void **state)
{
    (void)state;
    lifecycle_kept_init(&kept);
    kept.reader_until_us = 1000;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lifecycle_kept_forget(&kept);
    return 0;
}

/* Each character of events is the JSON of one; '.' has none. */
static void add(uint64_t before, const char *before_id, const char *events, const char *ids)
{
    struct lifecycle_write *write = lifecycle_write_create(STR("events"));
    for (const char *at = events; *at; at++)
        write->events[write->count++] = lifecycle_event_create(LIFECYCLE_SESSION_OPENED, LIFECYCLE_OPEN, STR("s"),
                                                               str_from(at, *at == '.' ? 0 : 1), STR(""));
    lifecycle_kept_add(&kept, write, before, str_from_cstr(before_id), str_from_cstr(ids));
    request_destroy(&write->base);
}

/* What a read gives: events, their first number, and number and place of the last one. "": nothing. */
static void assert_given(uint64_t limit, const char *expected)
{
    struct lifecycle_read *read = lifecycle_read_create(STR("events"));
    char given[200] = "";
    read->limit = limit;
    if (lifecycle_kept_take(&kept, read)) {
        assert_true(read->is_reader);
        assert_int_equal(read->last_number, kept.sent.number);
        assert_true(read->count <= limit && read->count == read->done_number - read->number + 1);
        snprintf(given, sizeof given, "%s %d-%d %s%s", buf_cstr(&read->events), (int)read->number,
                 (int)read->done_number, read->last, read->entries == limit ? " more" : "");
    }
    assert_string_equal(given, expected);
    request_destroy(&read->base);
}

static void gives_what_follows_the_last_one_that_was_sent(void **state)
{
    (void)state;
    add(4, "40-0", "abc", "50-0 51-0 51-1");
    assert_given(10, ""); /* it is not known how far the events have been sent on */
    lifecycle_kept_set_sent(&kept, "40-0", 4);
    assert_true(kept.is_unsaved);
    assert_given(10, "a,b,c 5-7 51-1 more"); /* another node has written the fourth one, and may have written others */
    assert_given(2, "a,b 5-6 51-0 more");    /* nothing has been sent meanwhile */
    lifecycle_kept_set_sent(&kept, "51-0", 6);
    assert_given(10, "c 7-7 51-1 more");
    lifecycle_kept_set_sent(&kept, "51-1", 7);
    assert_given(10, "");
    assert_int_equal(kept.bytes, 0);
}

static void joins_batches_that_follow_each_other(void **state)
{
    (void)state;
    lifecycle_kept_set_sent(&kept, "9-0", 1);
    add(1, "9-0", "ab", "10-0 10-1");
    add(3, "10-1", "cd", "11-0 11-1");
    assert_given(10, "a,b,c,d 2-5 11-1"); /* nobody else writes */
    assert_given(3, "a,b,c 2-4 11-0 more");
    lifecycle_kept_set_sent(&kept, "11-0", 4);
    add(5, "11-1", "e", "12-0");
    assert_given(10, "d,e 5-6 12-0");
}

static void what_was_not_told_has_no_number(void **state)
{
    (void)state;
    lifecycle_kept_set_sent(&kept, "9-0", 1);
    add(1, "9-0", ".a.bc.", "- 10-0 10-1");
    assert_given(10, "b,c 2-3 10-1 more");
    add(3, "10-1", "..d", "-");
    add(3, "10-1", "e", "11-0");
    assert_given(10, "b,c,e 2-4 11-0");
}

static void what_others_have_written_between_is_not_passed_over(void **state)
{
    (void)state;
    lifecycle_kept_set_sent(&kept, "9-0", 1);
    add(1, "9-0", "a", "10-0");
    add(4, "12-0", "b", "13-0");
    assert_given(10, "a 2-2 10-0 more");
    lifecycle_kept_set_sent(&kept, "10-0", 2);
    assert_given(10, "");
    lifecycle_kept_set_sent(&kept, "12-0", 4); /* as it was read from Redis */
    assert_given(10, "b 5-5 13-0 more");
}

/* Redis has lost events, and others have as many. */
static void the_same_number_at_another_place_does_not_follow(void **state)
{
    (void)state;
    lifecycle_kept_set_sent(&kept, "9-0", 1);
    add(1, "8-7", "a", "10-0");
    assert_given(10, "");
    add(2, "10-0", "b", "11-0");
    lifecycle_kept_set_sent(&kept, "10-9", 2);
    assert_given(10, "");
}

static void an_older_state_of_redis_forgets_what_is_kept(void **state)
{
    (void)state;
    lifecycle_kept_set_sent(&kept, "9-0", 1);
    add(1, "9-0", "abc", "10-0 10-1 10-2");
    add(1, "9-0", "d", "11-0");
    assert_given(10, "d 2-2 11-0 more");
}

static void takes_no_more_than_its_bound(void **state)
{
    struct lifecycle_write *write = lifecycle_write_create(STR("events"));
    const size_t len = LIFECYCLE_KEPT_BYTES / 3;
    char *long_text = xmalloc(len);
    (void)state;
    memset(long_text, 'x', len);
    write->events[write->count++] =
        lifecycle_event_create(LIFECYCLE_SESSION_OPENED, LIFECYCLE_OPEN, STR("s"), str_from(long_text, len), STR(""));
    lifecycle_kept_set_sent(&kept, "9-0", 0);
    lifecycle_kept_add(&kept, write, 0, STR("9-0"), STR("10-0"));
    lifecycle_kept_add(&kept, write, 1, STR("10-0"), STR("11-0"));
    lifecycle_kept_add(&kept, write, 2, STR("11-0"), STR("12-0"));
    assert_true(kept.bytes > 2 * len && kept.bytes <= LIFECYCLE_KEPT_BYTES);
    lifecycle_kept_set_sent(&kept, "11-0", 2);
    assert_given(10, ""); /* from Redis */
    assert_int_equal(kept.bytes, 0);
    add(3, "12-0", "d", "13-0");
    lifecycle_kept_set_sent(&kept, "12-0", 3);
    assert_given(10, "d 4-4 13-0");
    request_destroy(&write->base);
    free(long_text);
}

static void a_reader_that_was_silent_too_long_has_nothing(void **state)
{
    (void)state;
    lifecycle_kept_set_sent(&kept, "9-0", 1);
    add(1, "9-0", "a", "10-0");
    assert_true(lifecycle_kept_is_reader(&kept, 999));
    assert_false(lifecycle_kept_is_reader(&kept, 1000));
    assert_given(10, "");
    assert_int_equal(kept.bytes, 0);
}

/* Otherwise what was sent while Redis was away would be sent again. */
static void how_far_it_is_outlives_the_time_as_reader_until_redis_knows(void **state)
{
    (void)state;
    lifecycle_kept_set_sent(&kept, "9-0", 7);
    assert_false(lifecycle_kept_is_reader(&kept, 1000));
    assert_true(kept.is_unsaved);
    assert_string_equal(kept.sent.id, "9-0");
    assert_int_equal(kept.sent.number, 7);
    kept.reader_until_us = 3000;
    kept.is_unsaved = false;
    assert_false(lifecycle_kept_is_reader(&kept, 3000));
    assert_string_equal(kept.sent.id, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(gives_what_follows_the_last_one_that_was_sent),
        TEST(joins_batches_that_follow_each_other),
        TEST(what_was_not_told_has_no_number),
        TEST(what_others_have_written_between_is_not_passed_over),
        TEST(the_same_number_at_another_place_does_not_follow),
        TEST(an_older_state_of_redis_forgets_what_is_kept),
        TEST(takes_no_more_than_its_bound),
        TEST(a_reader_that_was_silent_too_long_has_nothing),
        TEST(how_far_it_is_outlives_the_time_as_reader_until_redis_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
