/* test_http_head.c - request heads: good ones are understood, bad ones are refused with a status. */
#include <stdlib.h>

#include "common/protocol/http_head.h"
#include "common/protocol/ws_handshake.h"
#include "tests/support/unit.h"

#define UPGRADE                                                                                                        \
    "GET /ws?token=a.b.c HTTP/1.1\r\nHost: push.example.com:8080\r\nConnection: keep-alive, Upgrade\r\n"               \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"               \
    "Origin: https://app.example.com\r\n\r\n"

static enum http_head_result parse(struct str bytes, struct http_head *head)
{
    size_t scanned = 0;
    struct error error = {0};
    enum http_head_result result = http_head_parse(bytes, 8192, &scanned, head, &error);
    assert_true((result == HTTP_HEAD_BAD) == (error.text[0] != '\0'));
    return result;
}

static struct http_head parse_good(const char *text)
{
    struct http_head head;
    assert_int_equal(parse(str_from_cstr(text), &head), HTTP_HEAD_DONE);
    assert_int_equal(head.length, strlen(text));
    return head;
}

static void test_parts(void **state)
{
    struct http_head head = parse_good(UPGRADE);
    struct str value;
    assert_str(head.method, "GET");
    assert_str(head.target, "/ws?token=a.b.c");
    assert_str(head.path, "/ws");
    assert_str(head.query, "token=a.b.c");
    assert_str(head.host, "push.example.com:8080");
    assert_int_equal(head.minor, 1);
    assert_int_equal(head.fields.count, 6);
    assert_true(http_head_find(&head, STR("ORIGIN"), &value));
    assert_str(value, "https://app.example.com");
    assert_false(http_head_find(&head, STR("authorization"), &value));
    assert_true(http_head_has_token(&head, STR("connection"), STR("upgrade")));
    assert_false(http_head_has_token(&head, STR("connection"), STR("close")));
    assert_false(head.has_content_length || head.transfer);
}

static void test_ends_at_the_empty_line(void **state)
{
    struct http_head head;
    struct str bytes = STR("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\0\n\r");
    assert_int_equal(parse(bytes, &head), HTTP_HEAD_DONE);
    assert_int_equal(head.length, bytes.len - 3);
    assert_true(head.has_content_length);
    assert_int_equal(head.content_length, 3);
}

static void test_every_truncation_needs_more(void **state)
{
    struct str whole = STR(UPGRADE);
    struct http_head head;
    size_t kept = 0;
    for (size_t len = 0; len < whole.len; len++) {
        /* Its own allocation, so that a sanitizer sees a read past it. */
        char *copy = str_dup(str_from(whole.ptr, len));
        assert_int_equal(parse(str_from(copy, len), &head), HTTP_HEAD_NEED_MORE);
        assert_int_equal(http_head_parse(str_from(copy, len), 8192, &kept, &head, NULL), HTTP_HEAD_NEED_MORE);
        assert_int_equal(kept, len);
        free(copy);
    }
    assert_int_equal(http_head_parse(whole, 8192, &kept, &head, NULL), HTTP_HEAD_DONE);
    assert_str(head.path, "/ws");
}

static void test_refused(void **state)
{
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {400, "GET / HTTP/1.1\nHost: a\n\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n"},
        {400, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\tfolded\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xa4: 1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: a\r\nX-Api-Key: a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nOrigin: http://b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: a\r\nSec-WebSocket-Key: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n\r\n"},
        {400, "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET http://a/ HTTP/1.1\r\n\r\n"},
        {400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n"},
        {400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
        {400, "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /\r\n\r\n"},
        {400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"},
        {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
        {505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
        {505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_head head;
        if (parse(str_from_cstr(cases[i].text), &head) != HTTP_HEAD_BAD)
            fail_msg("not refused: %s", cases[i].text);
        if (head.status != cases[i].status)
            fail_msg("status %d instead of %d: %s", head.status, cases[i].status, cases[i].text);
    }
}

static void test_other_protocols_are_refused_at_once(void **state)
{
    struct http_head head;
    assert_int_equal(parse(STR("\x16\x03\x01"), &head), HTTP_HEAD_BAD); /* a TLS ClientHello */
    assert_int_equal(parse(STR("PING\n"), &head), HTTP_HEAD_BAD);
    assert_int_equal(parse(STR("GET / HTTP/1.1\r\nHost: \0"), &head), HTTP_HEAD_BAD);
}

static void test_too_long(void **state)
{
    struct http_head head;
    size_t scanned = 0;
    struct str whole = STR(UPGRADE);
    assert_int_equal(http_head_parse(whole, whole.len, &scanned, &head, NULL), HTTP_HEAD_DONE);
    scanned = 0;
    assert_int_equal(http_head_parse(whole, whole.len - 1, &scanned, &head, NULL), HTTP_HEAD_BAD);
    assert_int_equal(head.status, 431);
    scanned = 0;
    assert_int_equal(http_head_parse(whole, 10, &scanned, &head, NULL), HTTP_HEAD_BAD);
    assert_int_equal(head.status, 414);
    scanned = 0;
    assert_int_equal(http_head_parse(str_from(whole.ptr, 9), 10, &scanned, &head, NULL), HTTP_HEAD_NEED_MORE);
}

static void test_too_many_fields(void **state)
{
    struct buf text = {0};
    struct http_head head;
    buf_append_lit(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 1; i < HTTP_FIELDS_MAX; i++)
        buf_append_lit(&text, "X: 1\r\n");
    buf_append_lit(&text, "\r\n");
    assert_int_equal(parse(buf_str(&text), &head), HTTP_HEAD_DONE);
    assert_int_equal(head.fields.count, HTTP_FIELDS_MAX);
    text.len -= 2;
    buf_append_lit(&text, "X: 1\r\n\r\n");
    assert_int_equal(parse(buf_str(&text), &head), HTTP_HEAD_BAD);
    assert_int_equal(head.status, 431);
    buf_fini(&text);
}

static void test_values(void **state)
{
    struct http_head head =
        parse_good("GET /?a?b HTTP/1.0\r\nA:\t x y \t\r\nB:\r\nB: 1,, ,2\r\nC:3\r\nb:\t3 ,\r\n\r\n");
    struct http_list at = {0};
    struct str value;
    assert_str(head.query, "a?b");
    assert_str(head.host, "");
    assert_true(http_head_find(&head, STR("a"), &value));
    assert_str(value, "x y");
    for (char expected[] = "1"; expected[0] <= '3'; expected[0]++) {
        assert_true(http_fields_next(&head.fields, STR("b"), &at, &value));
        assert_str(value, expected);
    }
    assert_false(http_fields_next(&head.fields, STR("b"), &at, &value));
    head = parse_good("GET / HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(head.transfer, HTTP_TRANSFER_CHUNKED);
    assert_str(head.host, "[::1]:80");
    assert_str(head.query, "");
}

static void test_targets(void **state)
{
    static const struct {
        const char *text, *host, *path, *query;
    } cases[] = {
        {"GET http://b:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "b:80", "/x", "y"},
        {"GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n", "b", "/", ""},
        {"GET http://b?y=/ HTTP/1.0\r\n\r\n", "b", "/", "y=/"},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "a", "*", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_head head = parse_good(cases[i].text);
        assert_str(head.host, cases[i].host);
        assert_str(head.path, cases[i].path);
        assert_str(head.query, cases[i].query);
    }
}

static void test_transfer_codings(void **state)
{
    struct http_head head = parse_good("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: , CHUNKED\r\n\r\n");
    assert_int_equal(head.transfer, HTTP_TRANSFER_CHUNKED);
    head = parse_good("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n");
    assert_int_equal(head.transfer, HTTP_TRANSFER_UNKNOWN);
}

static void test_keep_alive(void **state)
{
    static const struct {
        bool keep;
        const char *text;
    } cases[] = {
        {true, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {false, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n"},
        {false, "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: x, close\r\n\r\n"},
        {false, "GET / HTTP/1.0\r\n\r\n"},
        {true, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"},
        {false, "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_head head = parse_good(cases[i].text);
        assert_int_equal(http_head_keep_alive(&head), cases[i].keep);
    }
}

static void test_upgrade(void **state)
{
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define CON "Connection: Upgrade\r\n"
    static const struct {
        enum ws_handshake expected;
        const char *text;
    } cases[] = {
        {WS_HANDSHAKE_WEBSOCKET, UPGRADE},
        {WS_HANDSHAKE_WEBSOCKET, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n" CON V13 KEY "\r\n"},
        {WS_HANDSHAKE_NONE, "GET / HTTP/1.1\r\nHost: a\r\n" CON V13 KEY "\r\n"},
        {WS_HANDSHAKE_OTHER, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n" CON "\r\n"},
        {WS_HANDSHAKE_OTHER, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websockets\r\n" CON V13 KEY "\r\n"},
        {WS_HANDSHAKE_BAD, "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" CON V13 KEY "\r\n"},
        {WS_HANDSHAKE_BAD, "GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\n" CON V13 KEY "\r\n"},
        {WS_HANDSHAKE_BAD, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" V13 KEY "\r\n"},
        {WS_HANDSHAKE_BAD, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" CON KEY "\r\n"},
        {WS_HANDSHAKE_BAD, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" CON V13 "\r\n"},
        {WS_HANDSHAKE_BAD,
         "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" CON V13 "Sec-WebSocket-Key: short==\r\n\r\n"},
        {WS_HANDSHAKE_BAD, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" CON V13
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n\r\n"},
        {WS_HANDSHAKE_BAD, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" CON V13
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBu_-5jZQ==\r\n\r\n"},
        {WS_HANDSHAKE_BAD,
         "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nUpgrade: websocket\r\n" CON V13 KEY "\r\n"},
        {WS_HANDSHAKE_BAD,
         "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nUpgrade: websocket\r\n" CON V13 KEY "\r\n"},
        {WS_HANDSHAKE_BAD_VERSION,
         "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" CON "Sec-WebSocket-Version: 8\r\n" KEY "\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_head head = parse_good(cases[i].text);
        struct error error = {0};
        if (ws_handshake_check(&head, &error) != cases[i].expected)
            fail_msg("expected %d, got %d (%s): %s", (int)cases[i].expected, (int)ws_handshake_check(&head, NULL),
                     error.text, cases[i].text);
        assert_true((error.text[0] != '\0') == (cases[i].expected >= WS_HANDSHAKE_BAD_VERSION));
    }
}

static void test_upgrade_answer(void **state)
{
    struct http_head head = parse_good(UPGRADE);
    struct buf out = {0};
    ws_handshake_answer(&out, &head, STR(""));
    assert_string_equal(buf_cstr(&out),
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    buf_clear(&out);
    ws_handshake_answer(&out, &head, STR("carillon.v1"));
    assert_string_equal(buf_cstr(&out),
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                        "Sec-WebSocket-Protocol: carillon.v1\r\n\r\n");
    buf_fini(&out);
}

static void test_query(void **state)
{
    static const struct {
        const char *query;
        const char *value; /* NULL: absent; "!": refused */
    } cases[] = {
        {"", NULL},
        {"token", ""},
        {"token=", ""},
        {"token=abc", "abc"},
        {"a=1&token=abc&b", "abc"},
        {"&&token=abc&", "abc"},
        {"token=a=b", "a=b"},
        {"token=a+b%20c%2B", "a b c+"},
        {"%74oken=abc", "abc"},
        {"tokens=abc&atoken=1&Token=2", NULL},
        {"x=%zz&%00=1&token=abc", "abc"},
        {"token=abc&token=abc", "!"},
        {"token=abc&%74oken=", "!"},
        {"token=%0", "!"},
        {"token=%", "!"},
        {"token=%gg", "!"},
        {"token=a%00b", "!"},
    };
    struct buf scratch = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str value;
        struct error error = {0};
        enum err err = http_query_get(str_from_cstr(cases[i].query), STR("token"), &scratch, &value, &error);
        bool refused = cases[i].value && cases[i].value[0] == '!';
        if ((err != ERR_NONE) != refused)
            fail_msg("%s: %s", cases[i].query, err ? error.text : "not refused");
        if (refused)
            continue;
        assert_int_equal(value.ptr == NULL, cases[i].value == NULL);
        assert_str(value, cases[i].value ? cases[i].value : "");
    }
    buf_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_ends_at_the_empty_line),
        cmocka_unit_test(test_every_truncation_needs_more),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_other_protocols_are_refused_at_once),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_too_many_fields),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_transfer_codings),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_upgrade_answer),
        cmocka_unit_test(test_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
