/* test_str.c - text as pointer and length. */
#include "common/base/alloc.h"
#include "common/base/str.h"
#include "tests/support/unit.h"

static void test_compare(void **state)
{
    assert_true(str_eq(STR(""), str_from(NULL, 0)));
    assert_true(str_eq_nocase(STR("Sec-WebSocket-KEY"), STR("sec-websocket-key")));
    assert_false(str_eq_nocase(STR("a"), STR("ab")));
    assert_false(str_eq_nocase(STR("["), STR("{"))); /* 32 apart, but no letters */
    assert_true(str_compare(STR("a"), STR("b")) < 0);
    assert_true(str_compare(STR("ab"), STR("a")) > 0);
    assert_true(str_compare(STR("\xFF"), STR("a")) > 0);
    assert_int_equal(str_compare(STR("a"), STR("a")), 0);
    assert_true(str_starts_with(STR("Bearer x"), STR("Bearer ")));
    assert_false(str_starts_with(STR("Bear"), STR("Bearer ")));
    assert_true(str_eq_secret(STR("key"), STR("key")));
    assert_false(str_eq_secret(STR("key"), STR("kez")));
    assert_false(str_eq_secret(STR("key"), STR("key ")));
}

static void test_trim(void **state)
{
    assert_str(str_trim(STR(" \t a b \t")), "a b");
    assert_str(str_trim(STR(" \t ")), "");
    assert_str(str_trim(STR("\na\n")), "\na\n");
}

static void test_split(void **state)
{
    struct str rest = STR("a,,b,");
    assert_str(str_split(&rest, ','), "a");
    assert_str(str_split(&rest, ','), "");
    assert_str(str_split(&rest, ','), "b");
    assert_non_null(rest.ptr);
    assert_str(str_split(&rest, ','), "");
    assert_null(rest.ptr);
    rest = STR("");
    assert_str(str_split(&rest, ','), "");
    assert_null(rest.ptr);
}

static void test_to_u64(void **state)
{
    uint64_t value;
    assert_true(str_to_u64(STR("0"), &value) && value == 0);
    assert_true(str_to_u64(STR("00012"), &value) && value == 12);
    assert_true(str_to_u64(STR("18446744073709551615"), &value) && value == UINT64_MAX);
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "000000000000000000001"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        value = 77;
        assert_false(str_to_u64(str_from_cstr(bad[i]), &value));
        assert_true(value == 77);
    }
}

static void test_dup(void **state)
{
    char *copy = str_dup(str_from("abcdef", 3));
    assert_string_equal(copy, "abc");
    free(copy);
    copy = str_dup(str_from(NULL, 0));
    assert_string_equal(copy, "");
    free(copy);
}

static void test_pack(void **state)
{
    char bytes[8] = "........", *at = bytes;
    struct str first = str_pack(&at, STR("abc")), none = str_pack(&at, (struct str){NULL, 0}),
               second = str_pack(&at, STR("de"));
    assert_ptr_equal(first.ptr, bytes);
    assert_int_equal(first.len, 3);
    assert_int_equal(none.len, 0);
    assert_true(str_eq_cstr(second, "de"));
    assert_ptr_equal(at, bytes + 5);
    assert_memory_equal(bytes, "abcde...", 8);
}

/* Every code point there is, encoded by the definition (RFC 3629, 3). */
static void test_utf8_of_every_code_point(void **state)
{
    for (uint32_t code = 0; code <= 0x110000; code++) {
        char bytes[4];
        size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        if (len == 1) {
            bytes[0] = (char)code;
        } else {
            const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
            for (size_t i = 1; i < len; i++)
                bytes[i] = (char)(0x80 | (code >> (6 * (len - 1 - i)) & 0x3F));
            bytes[0] = (char)(lead[len] | code >> (6 * (len - 1)));
        }
        bool valid = code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
        uint32_t found = 0;
        assert_int_equal(str_utf8_next(str_from(bytes, len), &found), valid ? len : 0);
        assert_int_equal(str_is_utf8(str_from(bytes, len)), valid);
        if (valid)
            assert_int_equal(found, code);
        for (size_t cut = 1; cut < len; cut++)
            assert_false(str_is_utf8(str_from(bytes, cut)));
    }
}

static void test_ill_formed_utf8(void **state)
{
    static const char *const bad[] = {
        "\x80",
        "\xBF",
        "\xC0\x80",
        "\xC1\xBF",
        "\xC2 ",
        "\xC2\xC2",
        "\xE0\x9F\xBF",
        "\xE2\x82 ",
        "\xE2\x28\xA1",
        "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xF8\x88\x80\x80\x80",
        "\xFE",
        "\xFF",
        "ok\xC3",
        "\xC3\xA9\xA9",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(str_is_utf8(str_from_cstr(bad[i])));
    uint32_t code;
    assert_int_equal(str_utf8_next(STR(""), &code), 0);
    assert_true(str_is_utf8(STR("")));
    assert_true(str_is_utf8(STR("a\0\xC3\xA9")));
}

/* Plain text is looked at in words: what is wrong is found at every place in one. */
static void test_utf8_in_long_text(void **state)
{
    char text[100];
    for (size_t at = 0; at + 2 <= sizeof text; at++) {
        memset(text, 'a', sizeof text);
        memcpy(text + at, "\xC3\xA9", 2);
        assert_true(str_is_utf8(str_from(text, sizeof text)));
        assert_false(str_is_utf8(str_from(text, at + 1)));
        text[at + 1] = 'a';
        assert_false(str_is_utf8(str_from(text, sizeof text)));
    }
}

static void test_skip(void **state)
{
    assert_true(str_eq(str_skip(STR("abc"), 1), STR("bc")));
    assert_int_equal(str_skip(STR("abc"), 3).len, 0);
    assert_null(str_skip((struct str){0}, 0).ptr); /* the sanitizers of clang see arithmetic on NULL */
    bool possible;
    assert_int_equal(str_utf8_prefix((struct str){0}, &possible), 0);
    assert_true(possible);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_to_u64),
        cmocka_unit_test(test_dup),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_utf8_of_every_code_point),
        cmocka_unit_test(test_utf8_in_long_text),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_ill_formed_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
