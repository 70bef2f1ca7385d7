/* test_channel_name.c - channel names and the words for what may be done. */
#include "common/protocol/channel_name.h"
#include "tests/support/unit.h"

static void test_good_names(void **state)
{
    char longest[CHANNEL_NAME_MAX];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(channel_name_check(str_from(longest, sizeof longest), NULL), ERR_NONE);
    static const char *const good[] = {
        "a",
        "conversation:conv-123",
        "user:user-456",
        "a:b:c",
        ":",
        "*",
        "{sub}",
        "!\"#$%&'()+,-./;<=>?@[\\]^_`|~",
        "caf\xC3\xA9",
        "\xF0\x9F\x98\x80",
        "\xE6\xB8\xAF",
        "\xEF\xBF\xBD",
        "\xC2\xA1",
    };
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(channel_name_check(str_from_cstr(good[i]), NULL), ERR_NONE);
}

static void assert_bad(struct str name, const char *text)
{
    struct error error = {0};
    assert_int_equal(channel_name_check(name, &error), ERR_SUBSCRIPTION_FAILED);
    assert_string_equal(error.text, text);
}

static void test_bad_names(void **state)
{
    char too_long[CHANNEL_NAME_MAX + 1];
    memset(too_long, 'x', sizeof too_long);
    assert_bad(STR(""), "the channel name is empty");
    assert_bad(str_from(too_long, sizeof too_long), "channel names are up to 255 bytes, this one has 256");
    assert_bad(STR("a b"), "byte 1 of the channel name is a space");
    assert_bad(STR("a\n"), "byte 1 of the channel name is a control character");
    assert_bad(STR("a\0b"), "byte 1 of the channel name is a control character");
    assert_bad(STR("ab\x7F"), "byte 2 of the channel name is a control character");
    assert_bad(STR("\xC2\x85"), "byte 0 of the channel name is a control character");
    assert_bad(STR("caf\xC3\xA9\xC2\xA0"), "byte 5 of the channel name is a space");
    assert_bad(STR("\xE1\x9A\x80"), "byte 0 of the channel name is a space");
    assert_bad(STR("\xE2\x80\x80"), "byte 0 of the channel name is a space");
    assert_bad(STR("\xE2\x80\x8A"), "byte 0 of the channel name is a space");
    assert_bad(STR("\xE2\x80\xA8"), "byte 0 of the channel name is a space");
    assert_bad(STR("\xE2\x80\xAF"), "byte 0 of the channel name is a space");
    assert_bad(STR("\xE2\x81\x9F"), "byte 0 of the channel name is a space");
    assert_bad(STR("\xE3\x80\x80"), "byte 0 of the channel name is a space");
    assert_bad(STR("x\xEF\xBF\xBE"), "byte 1 of the channel name is a non-character");
    assert_bad(STR("x\xEF\xB7\x90"), "byte 1 of the channel name is a non-character");
    assert_bad(STR("\xF0\x9F\xBF\xBF"), "byte 0 of the channel name is a non-character");
    assert_bad(STR("ab\xFF"), "byte 2 of the channel name is not valid UTF-8");
    assert_bad(STR("ab\xC3"), "byte 2 of the channel name is not valid UTF-8");
    assert_bad(STR("\xED\xA0\x80"), "byte 0 of the channel name is not valid UTF-8");
}

static void test_allow_words(void **state)
{
    assert_int_equal(allow_from_word(STR("subscribe")), ALLOW_SUBSCRIBE);
    assert_int_equal(allow_from_word(STR("publish")), ALLOW_PUBLISH);
    assert_int_equal(allow_from_word(STR("presence")), ALLOW_PRESENCE);
    assert_int_equal(allow_from_word(STR("history")), ALLOW_HISTORY);
    assert_int_equal(allow_from_word(STR("Subscribe")), 0);
    assert_int_equal(allow_from_word(STR("all")), 0);
    assert_int_equal(allow_from_word(STR("")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_names),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_allow_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
