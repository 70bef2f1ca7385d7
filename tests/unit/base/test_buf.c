/* test_buf.c - bytes that grow. */
#include "common/base/buf.h"
#include "tests/support/unit.h"

static void test_append(void **state)
{
    struct buf buf = {0};
    assert_str(buf_str(&buf), "");
    buf_append_lit(&buf, "a");
    buf_append_char(&buf, 'b');
    buf_append_u64(&buf, 0);
    buf_append_u64(&buf, UINT64_MAX);
    buf_appendf(&buf, "<%s %d>", "x", -1);
    buf_append(&buf, str_from(NULL, 0));
    assert_str(buf_str(&buf), "ab018446744073709551615<x -1>");
    assert_string_equal(buf_cstr(&buf), "ab018446744073709551615<x -1>");
    buf_clear(&buf);
    assert_string_equal(buf_cstr(&buf), "");
    buf_fini(&buf);
    assert_null(buf.ptr);
}

static void test_grows_and_keeps_its_bytes(void **state)
{
    struct buf buf = {0};
    for (int i = 0; i < 100000; i++) {
        buf_append_char(&buf, (char)('a' + i % 26));
        assert_true(buf.len <= buf.cap);
    }
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf.ptr[i], 'a' + i % 26);
    buf_fini(&buf);
}

static void test_reserve(void **state)
{
    struct buf buf = {0};
    buf_append_lit(&buf, "abc");
    buf_reserve(&buf, 1000);
    assert_true(buf.cap - buf.len >= 1000);
    const char *before = buf.ptr;
    for (int i = 0; i < 1000; i++)
        buf_append_char(&buf, 'x');
    assert_ptr_equal(buf.ptr, before);
    buf_fini(&buf);
}

static void test_appendf_longer_than_what_is_left(void **state)
{
    struct buf buf = {0};
    for (int width = 1; width < 300; width++) {
        buf_clear(&buf);
        buf_appendf(&buf, "%*d", width, 7);
        assert_int_equal(buf.len, width);
        assert_int_equal(buf.ptr[width - 1], '7');
        buf_fini(&buf);
    }
}

static void test_consume(void **state)
{
    struct buf buf = {0};
    buf_append_lit(&buf, "abcdef");
    buf_consume(&buf, 0);
    assert_str(buf_str(&buf), "abcdef");
    buf_consume(&buf, 2);
    assert_str(buf_str(&buf), "cdef");
    buf_consume(&buf, 99);
    assert_str(buf_str(&buf), "");
    buf_fini(&buf);
}

static void test_the_memory_of_a_burst_is_freed(void **state)
{
    struct buf buf = {0};
    buf_reserve(&buf, BUF_KEEP_BYTES);
    buf_append_lit(&buf, "abc");
    buf_clear_burst(&buf);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.cap, BUF_KEEP_BYTES);
    buf_reserve(&buf, BUF_KEEP_BYTES + 1);
    buf_clear_burst(&buf);
    assert_int_equal(buf.cap, 0);
    assert_null(buf.ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),  cmocka_unit_test(test_grows_and_keeps_its_bytes),
        cmocka_unit_test(test_reserve), cmocka_unit_test(test_appendf_longer_than_what_is_left),
        cmocka_unit_test(test_consume), cmocka_unit_test(test_the_memory_of_a_burst_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
