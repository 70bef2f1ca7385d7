/* test_ws_client.c - the client side of WebSocket: handshake and frames out. */
#include <stdlib.h>

#include "common/protocol/http_head.h"
#include "common/protocol/ws_client.h"
#include "common/protocol/ws_handshake.h"
#include "tests/support/unit.h"

static void test_accept_of_the_rfc(void **state)
{
    char accept[WS_ACCEPT_LEN + 1];
    ws_handshake_accept(STR("dGhlIHNhbXBsZSBub25jZQ=="), accept);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void test_request_is_what_the_server_wants(void **state)
{
    char key[WS_KEY_LEN + 1], other[WS_KEY_LEN + 1];
    struct http_field field = {STR("Authorization"), STR("Bearer a.b.c")};
    struct ws_request request = {STR("localhost:8080"),      STR("/ws?x=1"), STR("carillon.v1"), &field, 1,
                                 STR("X-A: 1\r\nX-B: 2\r\n")};
    struct buf out = {0};
    struct http_head head;
    struct str value;
    size_t scanned = 0;
    ws_client_key(key);
    ws_client_key(other);
    assert_string_not_equal(key, other);
    ws_client_request(&out, &request, key);
    assert_int_equal(http_head_parse(buf_str(&out), 4096, &scanned, &head, NULL), HTTP_HEAD_DONE);
    assert_int_equal(head.length, out.len);
    assert_int_equal(ws_handshake_check(&head, NULL), WS_HANDSHAKE_WEBSOCKET);
    assert_str(head.target, "/ws?x=1");
    assert_str(head.host, "localhost:8080");
    assert_true(http_head_find(&head, STR("sec-websocket-key"), &value));
    assert_str(value, key);
    assert_true(http_head_find(&head, STR("authorization"), &value));
    assert_str(value, "Bearer a.b.c");
    assert_true(http_head_find(&head, STR("x-b"), &value));
    assert_str(value, "2");
    assert_true(http_head_has_token(&head, STR("sec-websocket-protocol"), STR("carillon.v1")));
    buf_fini(&out);
}

static enum err check(const char *head)
{
    struct http_answer answer;
    size_t scanned = 0;
    assert_int_equal(http_answer_parse(str_from_cstr(head), 4096, &scanned, &answer, NULL), HTTP_HEAD_DONE);
    return ws_client_check(&answer, "dGhlIHNhbXBsZSBub25jZQ==", NULL);
}

static void test_answer(void **state)
{
#define SWITCH  "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Upgrade: WebSocket\r\nConnection: upgrade\r\n"
#define ACCEPT  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    assert_int_equal(check(SWITCH UPGRADE ACCEPT "\r\n"), ERR_NONE);
    assert_int_equal(check("HTTP/1.1 200 OK\r\n" UPGRADE ACCEPT "\r\n"), ERR_INVALID_REQUEST);
    assert_int_equal(check(SWITCH ACCEPT "\r\n"), ERR_INVALID_REQUEST);
    assert_int_equal(check(SWITCH UPGRADE "\r\n"), ERR_INVALID_REQUEST);
    assert_int_equal(check(SWITCH UPGRADE "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
                     ERR_INVALID_REQUEST);
    assert_int_equal(check(SWITCH UPGRADE ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
                     ERR_INVALID_REQUEST);
}

static void test_frames_out_are_masked(void **state)
{
    static const size_t lengths[] = {0, 1, 125, 126, 65535, 65536};
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct buf payload = {0}, out = {0};
        uint8_t header[WS_HEADER_MAX];
        while (payload.len < lengths[i])
            buf_append_char(&payload, (char)('a' + payload.len % 26));
        size_t header_len = ws_frame_header(header, WS_TEXT, payload.len);
        ws_client_frame(&out, WS_TEXT, buf_str(&payload));
        assert_int_equal(out.len, header_len + 4 + payload.len);
        assert_int_equal((unsigned char)out.ptr[0], 0x81);
        assert_int_equal((unsigned char)out.ptr[1], header[1] | 0x80);
        for (size_t k = 0; k < payload.len; k++)
            assert_int_equal(out.ptr[header_len + 4 + k] ^ out.ptr[header_len + k % 4], payload.ptr[k]);
        buf_fini(&payload);
        buf_fini(&out);
    }
}

static void test_close_out(void **state)
{
    struct buf out = {0};
    ws_client_close(&out, 0, STR(""));
    assert_int_equal(out.len, 6);
    assert_int_equal((unsigned char)out.ptr[0], 0x88);
    buf_clear(&out);
    ws_client_close(&out, 1000, STR("bye"));
    assert_int_equal(out.len, 6 + 5);
    assert_int_equal(((unsigned char)(out.ptr[6] ^ out.ptr[2]) << 8) | (unsigned char)(out.ptr[7] ^ out.ptr[3]), 1000);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_of_the_rfc),
        cmocka_unit_test(test_request_is_what_the_server_wants),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_frames_out_are_masked),
        cmocka_unit_test(test_close_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
