/* test_ws_decoder.c - decodes WebSocket frames, from a server (plain) and from a client (masked), in pieces of every
 * size. Bad frames are refused with their reason, as early as their bytes show it. */
#include <stdlib.h>

#include "common/protocol/ws_decoder.h"
#include "tests/support/unit.h"

/* A frame as a test writes it. No more of it than len is sent. */
struct part {
    unsigned first; /* the first byte: FIN, reserved bits, opcode */
    struct str payload;
};

static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};

static void append_frame(struct buf *out, bool masked, unsigned first, struct str payload)
{
    uint8_t header[WS_HEADER_MAX];
    size_t len = ws_frame_header(header, WS_BINARY, payload.len);
    header[0] = (uint8_t)first;
    header[1] = (uint8_t)(header[1] | (masked ? 0x80 : 0));
    buf_append(out, str_from((char *)header, len));
    if (masked)
        buf_append(out, str_from((const char *)key, sizeof key));
    for (size_t i = 0; i < payload.len; i++)
        buf_append_char(out, (char)(payload.ptr[i] ^ (masked ? key[i % 4] : 0)));
}

/* The decoded messages as "opcode:payload;", and at the end "bad REASON" if the bytes are refused. The bytes are
 * copied, because the decoder unmasks them in place. */
static bool feed(struct ws_decoder *decoder, struct str piece, struct buf *out)
{
    struct ws_message message;
    enum ws_decoded result;
    char *copy = str_dup(piece);
    struct str bytes = str_from(copy, piece.len);
    while ((result = ws_decoder_next(decoder, &bytes, &message, NULL)) == WS_DECODED_MESSAGE) {
        buf_appendf(out, "%d:", (int)message.opcode);
        if (message.opcode == WS_CLOSE)
            buf_appendf(out, "%d ", message.close_code);
        buf_append(out, message.payload);
        buf_append_char(out, ';');
    }
    if (result == WS_DECODED_BAD)
        buf_appendf(out, "bad %s", reason_text(decoder->reason));
    else
        assert_int_equal(bytes.len, 0);
    free(copy);
    return result == WS_DECODED_MORE;
}

static void expect(bool from_client, size_t max_message, struct str stream, size_t step, const char *expected)
{
    struct ws_decoder decoder = {.max_message = max_message, .from_client = from_client};
    struct buf out = {0};
    bool good = true;
    for (size_t at = 0; at < stream.len && good; at += step)
        good = feed(&decoder, str_from(stream.ptr + at, stream.len - at < step ? stream.len - at : step), &out);
    if (strcmp(buf_cstr(&out), expected) != 0)
        fail_msg("in pieces of %zu: %s, expected %s", step, buf_cstr(&out), expected);
    if (good) { /* nothing is kept between messages */
        assert_false(ws_decoder_is_amid(&decoder));
        ws_decoder_next(&decoder, &(struct str){"", 0}, &(struct ws_message){0}, NULL);
        assert_null(decoder.message.ptr);
        assert_null(decoder.part.ptr);
    }
    ws_decoder_fini(&decoder);
    buf_fini(&out);
}

#define LONG_TEXT                                                                                                      \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"                                                 \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_in_pieces_of_every_size(void **state)
{
    static const struct part parts[] = {
        {0x81, {"hi", 2}},
        {0x81, {"", 0}},
        {0x01, {"fr", 2}},
        {0x89, {"p", 1}}, /* a ping between fragments */
        {0x00, {"a", 1}},
        {0x8a, {"", 0}},
        {0x80, {"gs", 2}},
        {0x82, {LONG_TEXT, 128}},
        {0x01, {"\xc3", 1}},
        {0x80, {"\xa4", 1}}, /* one character in two fragments */
        {0x02, {"", 0}},
        {0x00, {"", 0}},
        {0x80, {"", 0}},
        {0x82, {"\xff\xfe", 2}},
        {0x88,
         {"\x03\xe8"
          "bye",
          5}},
    };
    static const char decoded[] = "1:hi;1:;9:p;10:;1:frags;2:" LONG_TEXT ";1:\xc3\xa4;2:;2:\xff\xfe;8:1000 bye;";
    for (int masked = 0; masked < 2; masked++) {
        struct buf stream = {0};
        for (size_t i = 0; i < COUNT_OF(parts); i++)
            append_frame(&stream, masked, parts[i].first, parts[i].payload);
        for (size_t step = 1; step <= stream.len; step++)
            expect(masked, 1000, buf_str(&stream), step, decoded);
        buf_fini(&stream);
    }
}

static void test_long_messages(void **state)
{
    static const size_t lengths[] = {125, 126, 127, 65535, 65536, 70001};
    static const size_t steps[] = {7, 4096, 1000000};
    for (int masked = 0; masked < 2; masked++)
        for (size_t i = 0; i < COUNT_OF(lengths); i++)
            for (size_t k = 0; k < COUNT_OF(steps); k++) {
                struct buf payload = {0}, stream = {0}, expected = {0};
                while (payload.len < lengths[i])
                    buf_append_char(&payload, (char)('a' + payload.len % 26));
                append_frame(&stream, masked, 0x81, buf_str(&payload));
                buf_appendf(&expected, "1:%s;", buf_cstr(&payload));
                expect(masked, lengths[i], buf_str(&stream), steps[k], buf_cstr(&expected));
                expect(masked, lengths[i] - 1, buf_str(&stream), steps[k], "bad message_too_big");
                buf_fini(&payload);
                buf_fini(&stream);
                buf_fini(&expected);
            }
}

/* Headers that are refused. If one byte is enough to know, no more is waited for. */
static void test_headers_refused(void **state)
{
#define CASE(literal)                                                                                                  \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    }
    static const struct {
        struct str server, client;
        const char *expected;
    } cases[] = {
        {CASE("\xc1\x01"), CASE("\xc1\x81"), "bad protocol_error"}, /* RSV1, RSV2, RSV3 (5.2) */
        {CASE("\xa1\x01"), CASE("\xa1\x81"), "bad protocol_error"},
        {CASE("\x91\x01"), CASE("\x91\x81"), "bad protocol_error"},
        {CASE("\x83\x01"), CASE("\x83\x81"), "bad protocol_error"}, /* reserved opcodes */
        {CASE("\x87\x01"), CASE("\x87\x81"), "bad protocol_error"},
        {CASE("\x8b\x00"), CASE("\x8b\x80"), "bad protocol_error"},
        {CASE("\x8f\x00"), CASE("\x8f\x80"), "bad protocol_error"},
        {CASE("\x81\x81"), CASE("\x81\x01"), "bad protocol_error"}, /* masked; not masked (5.1) */
        {CASE("\x09\x00"), CASE("\x09\x80"), "bad protocol_error"}, /* a fragmented ping (5.5) */
        {CASE("\x08\x00"), CASE("\x08\x80"), "bad protocol_error"}, /* a fragmented close */
        {CASE("\x89\x7e"), CASE("\x89\xfe"), "bad protocol_error"}, /* a ping of 126 bytes */
        {CASE("\x88\x7f"), CASE("\x88\xff"), "bad protocol_error"},
        {CASE("\x80\x01"), CASE("\x80\x81"), "bad protocol_error"}, /* a continuation of nothing (5.4) */
        {CASE("\x00\x01"), CASE("\x00\x81"), "bad protocol_error"},
        {CASE("\x81\x7e\x00\x7d"), CASE("\x81\xfe\x00\x7d"), "bad protocol_error"}, /* not the shortest form */
        {CASE("\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff"), CASE("\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff"),
         "bad protocol_error"},
        {CASE("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), CASE("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00"),
         "bad protocol_error"}, /* the most significant bit */
        {CASE("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), CASE("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"),
         "bad message_too_big"},
        {CASE("\x81\x11"), CASE("\x81\x91"), "bad message_too_big"}, /* over 16 bytes */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t step = 1; step < 12; step++) {
            expect(false, 16, cases[i].server, step, cases[i].expected);
            expect(true, 16, cases[i].client, step, cases[i].expected);
        }
}

static void test_what_frames_carry_refused(void **state)
{
    static const struct {
        struct part parts[3];
        const char *expected;
    } cases[] = {
        {{{0x01, {"x", 1}}, {0x81, {"y", 1}}}, "bad protocol_error"}, /* a message in a message (5.4) */
        {{{0x01, {"0123456789abcdef", 16}}, {0x80, {"x", 1}}}, "bad message_too_big"},
        {{{0x81, {"\xff", 1}}}, "bad not_utf8"}, /* 8.1 */
        {{{0x81, {"\xed\xa0\x80", 3}}}, "bad not_utf8"},
        {{{0x81, {"\xf4\x90\x80\x80", 4}}}, "bad not_utf8"},
        {{{0x81, {"\xc0\xaf", 2}}}, "bad not_utf8"},
        {{{0x81, {"a\xc3", 2}}}, "bad not_utf8"}, /* ends within a character */
        {{{0x01, {"\xc3", 1}}, {0x80, {"x", 1}}}, "bad not_utf8"},
        {{{0x01, {"\xc3", 1}}, {0x80, {"", 0}}}, "bad not_utf8"},
        {{{0x01, {"\xf4", 1}}, {0x00, {"\x90", 1}}}, "bad not_utf8"}, /* before the message is whole */
        {{{0x88, {"x", 1}}}, "bad protocol_error"},                   /* half a code (5.5.1) */
        {{{0x88, {"\x03\xe8\xff", 3}}}, "bad not_utf8"},              /* 8.1 */
    };
    for (int masked = 0; masked < 2; masked++)
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            struct buf stream = {0};
            for (size_t k = 0; k < 3 && cases[i].parts[k].payload.ptr; k++)
                append_frame(&stream, masked, cases[i].parts[k].first, cases[i].parts[k].payload);
            for (size_t step = 1; step <= stream.len; step++)
                expect(masked, 16, buf_str(&stream), step, cases[i].expected);
            buf_fini(&stream);
        }
}

/* Text is refused with the first byte that cannot be in it, in the middle of a frame (8.1). */
static void test_text_fails_at_once(void **state)
{
    struct ws_decoder decoder = {.from_client = true};
    struct buf stream = {0}, out = {0};
    append_frame(&stream, true, 0x81, STR("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80 and more"));
    assert_true(feed(&decoder, str_from(stream.ptr, 6 + 12), &out));
    assert_false(feed(&decoder, str_from(stream.ptr + 6 + 12, 1), &out));
    assert_string_equal(buf_cstr(&out), "bad not_utf8");
    ws_decoder_fini(&decoder);
    buf_fini(&stream);
    buf_fini(&out);
}

static bool may_be_sent(int code) /* 7.4.1, 7.4.2 and the registry of codes */
{
    static const int known[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014};
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (known[i] == code)
            return true;
    return code >= 3000 && code < 5000;
}

static void test_every_close_code(void **state)
{
    for (int code = 0; code <= 65535; code++) {
        struct buf stream = {0}, expected = {0};
        char payload[2] = {(char)(code >> 8), (char)code};
        append_frame(&stream, true, 0x88, str_from(payload, 2));
        buf_appendf(&expected, may_be_sent(code) ? "8:%d ;" : "bad protocol_error", code);
        expect(true, 0, buf_str(&stream), 100, buf_cstr(&expected));
        buf_fini(&stream);
        buf_fini(&expected);
    }
}

static void test_close_without_code(void **state)
{
    expect(false, 0, STR("\x88\x00"), 2, "8:1005 ;");
}

static void test_error_says_who_and_what(void **state)
{
    struct ws_decoder decoder = {.from_client = true};
    struct str bytes = STR("\x81\x01");
    struct ws_message message;
    struct error error;
    assert_int_equal(ws_decoder_next(&decoder, &bytes, &message, &error), WS_DECODED_BAD);
    assert_string_equal(error.text, "the client broke the WebSocket protocol: a frame that is not masked");
    ws_decoder_fini(&decoder);
}

static void test_amid(void **state)
{
    struct ws_decoder decoder = {0};
    struct buf out = {0};
    assert_false(ws_decoder_is_amid(&decoder));
    assert_true(feed(&decoder, STR("\x01"), &out));
    assert_true(ws_decoder_is_amid(&decoder)); /* in a header */
    assert_true(feed(&decoder, STR("\x02x"), &out));
    assert_true(ws_decoder_is_amid(&decoder)); /* in a payload */
    assert_true(feed(&decoder, STR("y"), &out));
    assert_true(ws_decoder_is_amid(&decoder)); /* between fragments */
    assert_true(feed(&decoder, STR("\x80\x00"), &out));
    assert_false(ws_decoder_is_amid(&decoder));
    assert_string_equal(buf_cstr(&out), "1:xy;");
    ws_decoder_fini(&decoder);
    buf_fini(&out);
}

/* Bytes that are no message are counted. A message in one frame costs nothing. */
static void test_what_is_beside_messages(void **state)
{
    struct ws_decoder decoder = {.from_client = true};
    struct buf stream = {0}, out = {0};
    append_frame(&stream, true, 0x81, STR("a message"));
    assert_true(feed(&decoder, buf_str(&stream), &out));
    assert_int_equal(decoder.beside, 0);
    append_frame(&stream, true, 0x89, STR("ping"));
    append_frame(&stream, true, 0x01, STR("frag"));
    append_frame(&stream, true, 0x00, STR(""));
    append_frame(&stream, true, 0x80, STR("ment"));
    assert_true(feed(&decoder, buf_str(&stream), &out));
    assert_int_equal(decoder.beside, 6 + 4 + 6 + 6 + 6);
    ws_decoder_fini(&decoder);
    buf_fini(&stream);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_pieces_of_every_size),
        cmocka_unit_test(test_long_messages),
        cmocka_unit_test(test_headers_refused),
        cmocka_unit_test(test_what_frames_carry_refused),
        cmocka_unit_test(test_text_fails_at_once),
        cmocka_unit_test(test_every_close_code),
        cmocka_unit_test(test_close_without_code),
        cmocka_unit_test(test_error_says_who_and_what),
        cmocka_unit_test(test_amid),
        cmocka_unit_test(test_what_is_beside_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
