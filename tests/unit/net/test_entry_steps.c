/* test_entry_steps.c - the order of the entry steps. */
#include <stdlib.h>

#include "server/net/entry/entry_steps.h"
#include "server/net/entry/limits_step.h"
#include "server/net/entry/session_limit_step.h"
#include "server/net/entry/single_use_step.h"
#include "server/net/entry/subscribe_step.h"
#include "server/net/entry/ticket_step.h"
#include "tests/support/unit.h"

static enum entry_verdict pass(void *owner, struct entry *entry, const struct http_head *head, enum reason *out_reason)
{
    (void)owner;
    (void)entry;
    (void)head;
    (void)out_reason;
    return ENTRY_PASSES;
}

/* What each step relies on: claims before the steps that use them, final claims before the user is counted, and the
 * token used up last. */
static void have_their_order(void **state)
{
    char connect, fault;
    const struct outside_steps outside = {.connect = {.begin = pass, .owner = &connect},
                                          .fault = {.begin = pass, .owner = &fault}};
    struct entry_step *steps;
    (void)state;
    assert_int_equal(entry_steps_create(NULL, &outside, &steps), 8);
    assert_true(steps[0].begin == limits_step.begin);
    assert_true(steps[1].begin == ticket_step(NULL).begin);
    assert_ptr_equal(steps[2].owner, &connect);
    assert_ptr_equal(steps[3].owner, &fault);
    assert_true(steps[4].begin == user_limit_step.begin);
    assert_true(steps[5].begin == subscribe_step(NULL).begin);
    assert_true(steps[6].begin == session_limit_step(NULL).begin);
    assert_true(steps[7].begin == single_use_step(NULL).begin);
    free(steps);
}

static void leave_out_those_that_are_not_there(void **state)
{
    char fault;
    const struct outside_steps outside = {.fault = {.begin = pass, .owner = &fault}};
    struct entry_step *steps;
    (void)state;
    assert_int_equal(entry_steps_create(NULL, &outside, &steps), 7);
    assert_ptr_equal(steps[2].owner, &fault);
    assert_true(steps[3].begin == user_limit_step.begin);
    free(steps);
    assert_int_equal(entry_steps_create(NULL, &(struct outside_steps){0}, &steps), 6);
    assert_true(steps[2].begin == user_limit_step.begin);
    assert_true(steps[5].begin == single_use_step(NULL).begin);
    free(steps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(have_their_order),
        cmocka_unit_test(leave_out_those_that_are_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
