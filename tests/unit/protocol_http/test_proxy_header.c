/* test_proxy_header.c - PROXY protocol headers, by the examples and limits of HAProxy's specification. */
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/protocol/proxy_header.h"
#include "tests/support/unit.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static enum proxy_result parse(struct str bytes, struct proxy_header *out)
{
    struct error error = {0};
    enum proxy_result result = proxy_header_parse(bytes, out, &error);
    assert_true((result == PROXY_BAD) == (error.text[0] != '\0'));
    return result;
}

static void expect(struct str bytes, const char *address, uint16_t port)
{
    struct proxy_header header;
    struct buf followed = {0};
    for (size_t len = 0; len < bytes.len; len++) {
        char *copy = str_dup(str_from(bytes.ptr, len));
        assert_int_equal(parse(str_from(copy, len), &header), PROXY_NEED_MORE);
        free(copy);
    }
    buf_append(&followed, bytes);
    buf_append_lit(&followed, "GET / HTTP/1.1\r\n");
    assert_int_equal(parse(buf_str(&followed), &header), PROXY_DONE);
    assert_int_equal(header.length, bytes.len);
    assert_int_equal(header.has_address, address != NULL);
    if (address) {
        assert_string_equal(header.address, address);
        assert_int_equal(header.port, port);
    }
    buf_fini(&followed);
}

static void test_v1(void **state)
{
    expect(STR("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), "192.168.0.1", 56324);
    expect(STR("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255", 65535);
    expect(STR("PROXY TCP6 2001:DB8::1 ::1 0 443\r\n"), "2001:db8::1", 0);
    expect(STR("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
               "65535\r\n"),
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535);
    expect(STR("PROXY TCP6 ::ffff:192.0.2.7 ::1 80 443\r\n"), "192.0.2.7", 80);
    expect(STR("PROXY UNKNOWN\r\n"), NULL, 0);
    expect(STR("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), NULL, 0);
}

static void test_v2(void **state)
{
    expect(STR(SIGNATURE "\x21\x11\x00\x0c\x0a\x01\x02\x03\x0a\x00\x00\x01\xdc\x04\x01\xbb"), "10.1.2.3", 56324);
    expect(STR(SIGNATURE "\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                         "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x00\x50\x01\xbb"),
           "2001:db8::1", 80);
    expect(STR(SIGNATURE "\x21\x21\x00\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07"
                         "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x00\x50\x01\xbb"),
           "192.0.2.7", 80);
    /* With a TLV behind the addresses. */
    expect(STR(SIGNATURE "\x21\x11\x00\x10\x0a\x01\x02\x03\x0a\x00\x00\x01\xdc\x04\x01\xbb\x04\x00\x01\x00"),
           "10.1.2.3", 56324);
    /* LOCAL, as in health checks; LOCAL with addresses that do not count; UNSPEC. */
    expect(STR(SIGNATURE "\x20\x00\x00\x00"), NULL, 0);
    expect(STR(SIGNATURE "\x20\x11\x00\x0c\x0a\x01\x02\x03\x0a\x00\x00\x01\xdc\x04\x01\xbb"), NULL, 0);
    expect(STR(SIGNATURE "\x21\x00\x00\x01x"), NULL, 0);
}

static void test_v2_local_socket(void **state)
{
    struct buf bytes = {0};
    buf_append(&bytes, STR(SIGNATURE "\x21\x31\x00\xd8"));
    for (int i = 0; i < 216; i++)
        buf_append_char(&bytes, 'x');
    expect(buf_str(&bytes), NULL, 0);
    buf_fini(&bytes);
}

static void test_none(void **state)
{
    struct proxy_header header;
    assert_int_equal(parse(STR(""), &header), PROXY_NEED_MORE);
    assert_int_equal(parse(STR("G"), &header), PROXY_NONE);
    assert_int_equal(parse(STR("POST / HTTP/1.1\r\n"), &header), PROXY_NONE);
    assert_int_equal(parse(STR("PROXY\r\n"), &header), PROXY_NONE);
    assert_int_equal(parse(STR("proxy TCP4"), &header), PROXY_NONE);
    assert_int_equal(parse(STR("\r\n\r\nGET"), &header), PROXY_NONE);
}

static void test_bad(void **state)
{
    static const struct str cases[] = {
#define CASE(literal) {literal, sizeof(literal) - 1}
        CASE("PROXY \r\n"),
        CASE("PROXY TCP4\r\n"),
        CASE("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n"),
        CASE("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n"),
        CASE("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"),
        CASE("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"),
        CASE("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"),
        CASE("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n"),
        CASE("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n"),
        CASE("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n"),
        CASE("PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n"),
        CASE("PROXY TCP4 ::1 1.2.3.4 1 2\r\n"),
        CASE("PROXY TCP4 1.2.3.4 nowhere 1 2\r\n"),
        CASE("PROXY TCP4 1.2.3.4\0x 1.2.3.4 1 2\r\n"),
        CASE("PROXY TCP6 1.2.3.4 ::1 1 2\r\n"),
        CASE("PROXY TCP6 fe80::1%1 ::1 1 2\r\n"),
        CASE("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n"),
        CASE("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n"),
        CASE("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n"),
        CASE("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"),
        CASE("PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
             "xxxxxxxxxxxxx\r\n"),
        CASE(SIGNATURE "\x11\x11\x00\x0c"),                                                 /* version 1 */
        CASE(SIGNATURE "\x22\x11\x00\x0c"),                                                 /* unknown command */
        CASE(SIGNATURE "\x21\x11\x00\x0b\x0a\x01\x02\x03\x0a\x00\x00\x01\xdc\x04\x01"),     /* too short */
        CASE(SIGNATURE "\x21\x21\x00\x0c\x0a\x01\x02\x03\x0a\x00\x00\x01\xdc\x04\x01\xbb"), /* too short */
        CASE(SIGNATURE "\x21\x31\x00\x01x"),                                                /* too short */
        CASE(SIGNATURE "\x21\x12\x00\x0c\x0a\x01\x02\x03\x0a\x00\x00\x01\xdc\x04\x01\xbb"), /* UDP */
        CASE(SIGNATURE "\x21\x41\x00\x0c\x0a\x01\x02\x03\x0a\x00\x00\x01\xdc\x04\x01\xbb"), /* no such family */
        CASE(SIGNATURE "\x21\x11\x04\x01"),                                                 /* 1025 bytes */
    };
    struct proxy_header header;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (parse(cases[i], &header) != PROXY_BAD)
            fail_msg("case %zu not refused: %.*s", i, STR_ARG(cases[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1),   cmocka_unit_test(test_v2),  cmocka_unit_test(test_v2_local_socket),
        cmocka_unit_test(test_none), cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
