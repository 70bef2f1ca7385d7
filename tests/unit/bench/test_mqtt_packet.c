/* test_mqtt_packet.c - packets are the bytes of the standard, and are found in input that is cut anywhere. */
#include "bench/load/dialects/mqtt_packet.h"
#include "tests/support/unit.h"

static void expect_bytes(const struct buf *out, const char *bytes, size_t len)
{
    assert_int_equal(out->len, len);
    assert_memory_equal(out->ptr, bytes, len);
}

static void test_written(void **state)
{
    struct buf out = {0};
    mqtt_append_connect(&out);
    expect_bytes(&out, "\x10\x0c\0\4MQTT\4\2\0\0\0\0", 14);
    buf_clear(&out);
    mqtt_append_subscribe(&out, STR("a:b"));
    expect_bytes(&out, "\x82\x08\0\1\0\3a:b\0", 10);
    buf_clear(&out);
    mqtt_append_publish(&out, STR("t"), STR("hello"));
    expect_bytes(&out, "\x30\x08\0\1thello", 10);
    buf_fini(&out);
}

/* The length takes one, two or three bytes. The whole packet comes byte by byte. */
static void test_cut_at_every_byte(void **state)
{
    static const size_t sizes[] = {0, 1, 124, 125, 200, 17000};
    struct buf stream = {0}, text = {0};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        buf_clear(&text);
        buf_reserve(&text, sizes[i] + 1);
        memset(text.ptr, 'x', sizes[i]);
        text.len = sizes[i];
        mqtt_append_publish(&stream, STR("t"), buf_str(&text));
    }
    size_t at = 0, found = 0;
    for (size_t end = 0; end <= stream.len; end++) {
        struct str bytes = str_from(stream.ptr + at, end - at), payload;
        struct mqtt_packet packet;
        while (mqtt_next(&bytes, &packet) == MQTT_PACKET) {
            assert_true(mqtt_payload(&packet, &payload));
            assert_int_equal(payload.len, sizes[found++]);
            at = (size_t)(bytes.ptr - stream.ptr);
        }
        assert_int_equal(bytes.len, end - at);
    }
    assert_int_equal(found, COUNT_OF(sizes));
    assert_int_equal(at, stream.len);
    buf_fini(&stream);
    buf_fini(&text);
}

static void test_malformed(void **state)
{
    struct str bytes = str_from("\x30\xff\xff\xff\xff\x01", 6), payload;
    struct mqtt_packet packet;
    assert_int_equal(mqtt_next(&bytes, &packet), MQTT_BAD);
    static const struct mqtt_packet no_payloads[] = {
        {MQTT_PUBLISH, 0, {"", 0}},        {MQTT_PUBLISH, 0, {"\0", 1}},      {MQTT_PUBLISH, 0, {"\0\4abc", 5}},
        {MQTT_PUBLISH, 2, {"\0\1abc", 5}}, {MQTT_CONNACK, 0, {"\0\1abc", 5}},
    };
    for (size_t i = 0; i < COUNT_OF(no_payloads); i++)
        assert_false(mqtt_payload(&no_payloads[i], &payload));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
