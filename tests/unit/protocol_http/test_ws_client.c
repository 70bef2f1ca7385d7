/* test_ws_client.c - the client side of WebSocket: handshake, frames out, frames in. */
#include <stdlib.h>

#include "common/protocol/http_head.h"
#include "common/protocol/ws_client.h"
#include "tests/support/unit.h"

static void test_accept_of_the_rfc(void **state)
{
    char accept[WS_ACCEPT_LEN + 1];
    ws_client_accept(STR("dGhlIHNhbXBsZSBub25jZQ=="), accept);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void test_request_is_what_the_server_wants(void **state)
{
    char key[WS_KEY_LEN + 1], other[WS_KEY_LEN + 1];
    struct http_field field = {STR("Authorization"), STR("Bearer a.b.c")};
    struct ws_request request = {STR("localhost:8080"), STR("/ws?x=1"), STR("carillon.v1"), &field, 1};
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
    assert_int_equal(http_head_upgrade(&head, NULL), HTTP_UPGRADE_WEBSOCKET);
    assert_str(head.target, "/ws?x=1");
    assert_str(head.host, "localhost:8080");
    assert_true(http_head_find(&head, STR("sec-websocket-key"), &value));
    assert_str(value, key);
    assert_true(http_head_find(&head, STR("authorization"), &value));
    assert_str(value, "Bearer a.b.c");
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

/* What came out of the decoder, as "opcode:payload;". */
static void decode(struct ws_decoder *decoder, struct str bytes, struct buf *out)
{
    struct ws_message message;
    enum ws_decoded result;
    while ((result = ws_decoder_next(decoder, &bytes, &message, NULL)) == WS_DECODED_MESSAGE) {
        buf_appendf(out, "%d:", (int)message.opcode);
        if (message.opcode == WS_CLOSE)
            buf_appendf(out, "%d ", message.close_code);
        buf_append(out, message.payload);
        buf_append_char(out, ';');
    }
    if (result == WS_DECODED_BAD)
        buf_append_lit(out, "bad");
    else
        assert_int_equal(bytes.len, 0);
}

static const char stream[] = "\x81\x02hi" /* a message */
                             "\x81\x00"   /* an empty one */
                             "\x01\x02"
                             "fr"
                             "\x89\x01"
                             "p" /* a ping between fragments */
                             "\x00\x01"
                             "a"
                             "\x80\x02"
                             "gs" /*  */
                             "\x82\x7e\x00\x80"
                             "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                             "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                             "\x01\x01\xc3\x80\x01\xa4" /* one character in two fragments */
                             "\x88\x05\x03\xe8"
                             "bye";
static const char decoded[] = "1:hi;1:;9:p;1:frags;2:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                              "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef;1:\xc3\xa4;8:1000 bye;";

static void test_decode_in_pieces_of_every_size(void **state)
{
    for (size_t step = 1; step < sizeof stream; step++) {
        struct ws_decoder decoder = {.max_message = 1000};
        struct buf out = {0};
        for (size_t at = 0; at < sizeof stream - 1; at += step) {
            size_t len = sizeof stream - 1 - at < step ? sizeof stream - 1 - at : step;
            char *piece = str_dup(str_from(stream + at, len));
            decode(&decoder, str_from(piece, len), &out);
            free(piece);
        }
        assert_string_equal(buf_cstr(&out), decoded);
        ws_decoder_fini(&decoder);
        buf_fini(&out);
    }
}

static void test_decode_big(void **state)
{
    struct ws_decoder decoder = {0};
    struct buf bytes = {0}, out = {0};
    uint8_t header[WS_HEADER_MAX];
    size_t header_len = ws_frame_header(header, WS_BINARY, 70000);
    assert_int_equal(header_len, 10);
    buf_append(&bytes, str_from((const char *)header, header_len));
    while (bytes.len < header_len + 70000)
        buf_append_char(&bytes, 'x');
    decode(&decoder, buf_str(&bytes), &out);
    assert_int_equal(out.len, 70000 + 3);
    ws_decoder_fini(&decoder);
    buf_fini(&bytes);
    buf_fini(&out);
}

static void test_decode_refused(void **state)
{
#define CASE(literal)                                                                                                  \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    }
    static const struct str cases[] = {
        CASE("\xc1\x01x"), /* a reserved bit */
        CASE("\x83\x01x"), /* unknown opcodes */
        CASE("\x8b\x00"),
        CASE("\x81\x81"),              /* masked */
        CASE("\x09\x00"),              /* a fragmented ping */
        CASE("\x89\x7e\x00\x7e"),      /* a ping of 126 bytes */
        CASE("\x80\x01x"),             /* a continuation of nothing */
        CASE("\x01\x01x\x81\x01x"),    /* a message in a message */
        CASE("\x81\x7e\x00\x05hello"), /* lengths not in their shortest form */
        CASE("\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x05hello"),
        CASE("\x81\x11"), /* over 16 bytes */
        CASE("\x01\x10"
             "0123456789abcdef\x80\x01"), /* together */
        CASE("\x88\x01x"),                /* half a code */
        CASE("\x88\x03\x03\xe8\xff"),     /* a reason that is not UTF-8 */
        CASE("\x81\x01\xff"),             /* text that is not UTF-8 */
        CASE("\x01\x01\xc3\x80\x01x"),
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ws_decoder decoder = {.max_message = 16};
        struct buf out = {0};
        decode(&decoder, cases[i], &out);
        if (strcmp(buf_cstr(&out), "bad") != 0)
            fail_msg("case %zu not refused: %s", i, buf_cstr(&out));
        ws_decoder_fini(&decoder);
        buf_fini(&out);
    }
}

static void test_decode_impossible_length(void **state)
{
    struct ws_decoder decoder = {0};
    struct buf out = {0};
    decode(&decoder,
           STR("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"
               "12345678"),
           &out);
    assert_string_equal(buf_cstr(&out), "bad");
    ws_decoder_fini(&decoder);
    buf_fini(&out);
}

static void test_close_without_code(void **state)
{
    struct ws_decoder decoder = {0};
    struct buf out = {0};
    decode(&decoder, STR("\x88\x00"), &out);
    assert_string_equal(buf_cstr(&out), "8:1005 ;");
    ws_decoder_fini(&decoder);
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
        cmocka_unit_test(test_decode_in_pieces_of_every_size),
        cmocka_unit_test(test_decode_big),
        cmocka_unit_test(test_decode_refused),
        cmocka_unit_test(test_decode_impossible_length),
        cmocka_unit_test(test_close_without_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
