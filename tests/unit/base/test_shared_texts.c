/* test_shared_texts.c - the same text once, for as long as anybody has it. */
#include "common/base/shared_texts.h"
#include "tests/support/unit.h"

static void long_texts_are_shared(void **state)
{
    struct shared_texts texts = {0};
    char bytes[2][4000];
    struct shared_text *taken[128];
    (void)state;
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < 128; i++) {
        taken[i] = shared_text_take(&texts, str_from(bytes[i % 2], sizeof bytes[0]));
        assert_ptr_equal(taken[i], taken[0]);
    }
    bytes[1][3999] = 'y';
    struct shared_text *other = shared_text_take(&texts, str_from(bytes[1], sizeof bytes[1]));
    assert_ptr_not_equal(other, taken[0]);
    assert_int_equal(texts.map.count, 2);
    for (size_t i = 0; i < 128; i++)
        shared_text_drop(&texts, taken[i]);
    assert_true(str_eq(other->text, str_from(bytes[1], sizeof bytes[1])));
    assert_int_equal(texts.map.count, 1);
    shared_text_drop(&texts, other);
    assert_int_equal(texts.map.count, 0);
    shared_texts_fini(&texts);
}

static void short_ones_are_copied(void **state)
{
    struct shared_texts texts = {0};
    (void)state;
    struct shared_text *one = shared_text_take(&texts, STR("a")), *other = shared_text_take(&texts, STR("a"));
    assert_true(str_eq(one->text, other->text));
    assert_int_equal(texts.map.count, 0);
    shared_text_drop(&texts, one);
    assert_true(str_eq(other->text, STR("a")));
    shared_text_drop(&texts, other);
    struct shared_text *none = shared_text_take(&texts, STR(""));
    assert_int_equal(none->text.len, 0);
    shared_text_drop(&texts, none);
    shared_texts_fini(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_texts_are_shared),
        cmocka_unit_test(short_ones_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
