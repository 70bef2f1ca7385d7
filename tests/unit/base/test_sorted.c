/* test_sorted.c - ordered items, compared with a plain array. Pages stay right while items come and go between them. */
#include <stdio.h>

#include "common/base/sorted.h"
#include "tests/support/unit.h"

enum { THINGS = 2000, STEPS = 60000 };

struct thing {
    struct sorted_link link;
    bool present;
    char name[16];
};

static struct thing things[THINGS]; /* by their names */

static struct str name_of(struct sorted_link *link)
{
    return str_from_cstr(CONTAINER_OF(link, struct thing, link)->name);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void begin(struct sorted *order)
{
    memset(things, 0, sizeof things);
    for (int i = 0; i < THINGS; i++)
        snprintf(things[i].name, sizeof things[i].name, "%04d%s", i, i % 3 ? "" : "-longer");
    sorted_init(order, name_of);
}

static struct thing *next_present(int i)
{
    while (i < THINGS && !things[i].present)
        i++;
    return i < THINGS ? &things[i] : NULL;
}

static struct thing *thing_of(struct sorted_link *link)
{
    return link ? CONTAINER_OF(link, struct thing, link) : NULL;
}

static void assert_same(const struct sorted *order)
{
    struct thing *last = NULL;
    struct sorted_link *link = sorted_from(order, STR(""));
    for (int i = 0; i < THINGS; i++) {
        assert_ptr_equal(thing_of(sorted_after(order, str_from_cstr(things[i].name))), next_present(i + 1));
        assert_ptr_equal(thing_of(sorted_from(order, str_from_cstr(things[i].name))), next_present(i));
        if (!things[i].present)
            continue;
        last = &things[i];
        assert_ptr_equal(thing_of(link), last);
        link = sorted_next(link);
    }
    assert_null(link);
    assert_ptr_equal(thing_of(order->last), last);
}

static size_t depth_of(const struct sorted_link *link)
{
    size_t depth = 0;
    for (; link; link = link->up)
        depth++;
    return depth;
}

static void test_against_a_model(void **state)
{
    struct sorted order;
    uint32_t seed = 1;
    (void)state;
    begin(&order);
    for (int step = 0; step < STEPS; step++) {
        struct thing *thing = &things[next_random(&seed) % THINGS];
        bool put = (next_random(&seed) % 4 != 0) != (step / 10000 % 2 != 0); /* by turns more come, or more go */
        if (put && !thing->present)
            sorted_put(&order, &thing->link);
        else if (!put)
            sorted_remove(&order, &thing->link);
        thing->present = put;
        if (step % 2500 == 0)
            assert_same(&order);
    }
    for (int i = 0; i < THINGS; i++) {
        sorted_remove(&order, &things[i].link);
        things[i].present = false;
    }
    assert_same(&order);
    assert_null(order.root);
}

/* The tree stays low for every order in which items come. */
static void test_names_in_any_order_make_no_deep_tree(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        struct sorted order;
        begin(&order);
        for (int i = 0; i < THINGS; i++) {
            int which = way == 0 ? i : way == 1 ? THINGS - 1 - i : i % 2 ? i / 2 : THINGS - 1 - i / 2;
            sorted_put(&order, &things[which].link);
            things[which].present = true;
        }
        assert_same(&order);
        for (int i = 0; i < THINGS; i++)
            assert_true(depth_of(&things[i].link) < 64); /* of 2,000 by chance: less than once in 10^15 */
    }
}

static void test_pages_go_on_after_who_has_gone(void **state)
{
    struct sorted order;
    char after[16] = "";
    int seen = 0;
    (void)state;
    begin(&order);
    for (int i = 0; i < THINGS; i++)
        sorted_put(&order, &things[i].link);
    for (struct sorted_link *link; (link = sorted_after(&order, str_from_cstr(after)));) {
        for (int i = 0; i < 7 && link; i++, seen++) {
            assert_ptr_equal(thing_of(link), &things[seen]);
            memcpy(after, thing_of(link)->name, sizeof after);
            link = sorted_next(link);
        }
        sorted_remove(&order, &things[seen - 1].link); /* the page's last one, and one of an earlier page */
        sorted_remove(&order, &things[seen / 2].link);
    }
    assert_int_equal(seen, THINGS);
}

static void test_equal_names_keep_the_order_in_which_they_came(void **state)
{
    struct sorted order;
    struct thing equal[20] = {0};
    struct thing before = {.name = "a"}, after = {.name = "c"};
    (void)state;
    sorted_init(&order, name_of);
    sorted_put(&order, &after.link);
    for (int i = 0; i < 20; i++) {
        strcpy(equal[i].name, "b");
        sorted_put(&order, &equal[i].link);
    }
    sorted_put(&order, &before.link);
    struct sorted_link *link = sorted_from(&order, STR("b"));
    for (int i = 0; i < 20; i++, link = sorted_next(link))
        assert_ptr_equal(thing_of(link), &equal[i]);
    assert_ptr_equal(thing_of(link), &after);
    assert_ptr_equal(thing_of(sorted_after(&order, STR("b"))), &after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_names_in_any_order_make_no_deep_tree),
        cmocka_unit_test(test_pages_go_on_after_who_has_gone),
        cmocka_unit_test(test_equal_names_keep_the_order_in_which_they_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
