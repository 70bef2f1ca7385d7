/* test_list.c - the intrusive ring. */
#include "common/base/list.h"
#include "tests/support/unit.h"

struct item {
    int number;
    struct list_link link;
};

static struct item *item_of(struct list_link *link)
{
    return link ? CONTAINER_OF(link, struct item, link) : NULL;
}

/* The numbers in the list, as digits of one number. */
static int digits(struct list_link *head)
{
    int all = 0;
    LIST_EACH(link, head)
    {
        all = all * 10 + item_of(link)->number;
    }
    return all;
}

static void test_list(void **state)
{
    struct list_link head;
    struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_null(list_take_first(&head));
    list_append(&head, &a.link);
    list_append(&head, &b.link);
    list_append(&head, &c.link);
    assert_int_equal(digits(&head), 123);
    list_remove(&b.link);
    assert_false(list_is_linked(&b.link));
    list_remove(&b.link); /* not in a list: nothing happens */
    assert_int_equal(digits(&head), 13);
    list_append(&head, &b.link);
    assert_ptr_equal(item_of(list_take_first(&head)), &a);
    assert_false(list_is_linked(&a.link));
    assert_int_equal(digits(&head), 32);
}

static void test_removal_while_walking(void **state)
{
    struct list_link head;
    struct item items[10] = {0};
    list_init(&head);
    for (int i = 0; i < 10; i++)
        list_append(&head, &items[i].link);
    int walked = 0;
    LIST_EACH(link, &head)
    {
        walked++;
        list_remove(link);
    }
    assert_int_equal(walked, 10);
    assert_true(list_is_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_removal_while_walking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
