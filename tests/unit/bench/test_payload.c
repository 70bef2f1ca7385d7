/* test_payload.c - an event's data has the size that was asked for, and its number is found again in any envelope. */
#include "bench/load/payload.h"
#include "common/json/json.h"
#include "tests/support/unit.h"

static void test_data_has_its_size(void **state)
{
    static const uint32_t numbers[] = {0, 9, 123456, UINT32_MAX};
    static const size_t sizes[] = {PAYLOAD_MIN, 128, 4096};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        for (size_t k = 0; k < COUNT_OF(sizes); k++) {
            struct buf out = {0};
            struct json_value value;
            uint64_t number;
            payload_append(&out, numbers[i], sizes[k]);
            assert_int_equal(out.len, sizes[k]);
            assert_int_equal(json_check(buf_str(&out), NULL, &value, NULL), ERR_NONE);
            assert_true(json_u64(json_member(value, STR("n")), &number));
            assert_int_equal(number, numbers[i]);
            buf_fini(&out);
        }
    }
}

static void envelope(struct buf *out, const char *before, uint32_t number, size_t data_bytes)
{
    buf_clear(out);
    buf_append(out, str_from_cstr(before));
    payload_append(out, number, data_bytes);
    buf_append_char(out, '}');
}

/* The hint is right, wrong, or past the end: the number is the same. */
static void test_number(void **state)
{
    static const char *const envelopes[] = {"", "{\"data\":", "42[\"event\",",
                                            "{\"channel\":\"a-longer-one\",\"data\":", "{\"data\":"};
    static const uint32_t numbers[] = {0, 7, 4294967295};
    struct buf text = {0};
    size_t hint = 0;
    for (size_t i = 0; i < COUNT_OF(envelopes); i++) {
        for (size_t k = 0; k < COUNT_OF(numbers); k++) {
            uint64_t number = 99;
            envelope(&text, envelopes[i], numbers[k], 64);
            assert_true(payload_number(buf_str(&text), 64, &hint, &number));
            assert_int_equal(number, numbers[k]);
            assert_int_equal(hint, strlen(envelopes[i]));
        }
    }
    buf_fini(&text);
}

static void test_no_number(void **state)
{
    static const char *const texts[] = {
        "",
        "{\"n\":",
        "{\"n\":1,\"pad\":\"x\"}",
        "{\"type\":\"warning\",\"data\":{\"message\":\"no event at all\"}}",
        "{\"n\":,\"pad\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}",
        "{\"n\":12x\"pad\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}",
        "{\"n\":-1,\"pad\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}",
    };
    uint64_t number = 99;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        size_t hint = i * 3;
        assert_false(payload_number(str_from_cstr(texts[i]), PAYLOAD_MIN, &hint, &number));
    }
    assert_int_equal(number, 99);
}

/* A byte that is missing is noticed. */
static void test_cut_short(void **state)
{
    struct buf text = {0};
    size_t hint = 0;
    uint64_t number;
    envelope(&text, "{\"data\":", 5, 200);
    assert_true(payload_number(str_from(text.ptr, text.len - 1), 200, &hint, &number));
    assert_false(payload_number(str_from(text.ptr, text.len - 2), 200, &hint, &number));
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_has_its_size),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_no_number),
        cmocka_unit_test(test_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
