/* An answer is cut into the same frames, whatever the lengths of its parts. */
#include <stdlib.h>

#include "server/upstream/answer_frames.h"
#include "tests/support/unit.h"

enum { FRAME_MAX = 20 };

/* Appends "[frame]" for each frame, and "!" when the answer is bad. */
static void cut(enum answer_kind kind, struct str answer, size_t step, struct buf *out, struct error *error)
{
    struct answer_frames frames = {.kind = kind, .frame_max = FRAME_MAX};
    enum answer_result result = ANSWER_MORE;
    struct str frame;
    while (answer.len && result != ANSWER_BAD) {
        size_t len = answer.len < step ? answer.len : step;
        char *copy = str_dup(str_from(answer.ptr, len));
        struct str part = str_from(copy, len);
        while ((result = answer_next(&frames, &part, &frame, error)) == ANSWER_FRAME)
            buf_appendf(out, "[%.*s]", STR_ARG(frame));
        free(copy);
        answer = str_skip(answer, len);
    }
    while (result != ANSWER_BAD && (result = answer_end(&frames, &frame, error)) == ANSWER_FRAME)
        buf_appendf(out, "[%.*s]", STR_ARG(frame));
    if (result == ANSWER_BAD)
        buf_append_char(out, '!');
    answer_frames_fini(&frames);
}

static void gives(enum answer_kind kind, const char *answer, const char *expected)
{
    struct error error;
    for (size_t step = 1; step <= strlen(answer) + 1; step++) {
        struct buf out = {0};
        cut(kind, str_from_cstr(answer), step, &out, &error);
        assert_string_equal(buf_cstr(&out), expected);
        buf_fini(&out);
    }
}

static void test_kinds(void **state)
{
    static const struct {
        const char *type;
        enum answer_kind kind;
    } rows[] = {
        {"application/json", ANSWER_TEXT},
        {"Application/JSON; charset=utf-8", ANSWER_TEXT},
        {"application/problem+json", ANSWER_TEXT},
        {"text/plain", ANSWER_TEXT},
        {" text/html ;x", ANSWER_TEXT},
        {"text/event-stream", ANSWER_EVENTS},
        {"TEXT/Event-Stream;charset=utf-8", ANSWER_EVENTS},
        {"application/x-ndjson", ANSWER_LINES},
        {"application/jsonl", ANSWER_LINES},
        {"application/octet-stream", ANSWER_BINARY},
        {"audio/wav", ANSWER_BINARY},
        {"", ANSWER_OTHER},
        {"text/", ANSWER_OTHER},
        {"image/png", ANSWER_OTHER},
        {"+json", ANSWER_OTHER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(answer_kind_of(str_from_cstr(rows[i].type)), rows[i].kind);
}

static void test_a_whole_answer_is_one_frame(void **state)
{
    gives(ANSWER_TEXT, "{\"a\":\n1}", "[{\"a\":\n1}]");
    gives(ANSWER_TEXT, "", "");
    gives(ANSWER_TEXT, "\xef\xbb\xbfx", "[x]");
    gives(ANSWER_TEXT, "12345678901234567890", "[12345678901234567890]");
    gives(ANSWER_TEXT, "123456789012345678901", "!");
    gives(ANSWER_TEXT, "\xff", "!");
    gives(ANSWER_BINARY, "\xef\xbb\xbf\xff", "[\xef\xbb\xbf\xff]");
    gives(ANSWER_BINARY, "", "");
}

static void test_lines(void **state)
{
    gives(ANSWER_LINES, "{\"a\":1}\n{\"b\":2}\r\n\n  \n{\"c\":3}", "[{\"a\":1}][{\"b\":2}][{\"c\":3}]");
    gives(ANSWER_LINES, "\n\r\n", "");
    gives(ANSWER_LINES, "\xef\xbb\xbf{}\n\xef\xbb\xbfx\n", "[{}][\xef\xbb\xbfx]");
    gives(ANSWER_LINES, "12345678901234567890\r\n1\n", "[12345678901234567890][1]");
    gives(ANSWER_LINES, "1\n123456789012345678901\n1\n", "[1]!");
    gives(ANSWER_LINES, "1\n1234567890123456789012345678901234567890", "[1]!");
    gives(ANSWER_LINES, "1\n\xc3\n", "[1]!");
    gives(ANSWER_LINES, "a\rb\n", "[a\rb]");
}

static void test_event_streams(void **state)
{
    gives(ANSWER_EVENTS, "data: a\n\ndata:b\n\n", "[a][b]");
    gives(ANSWER_EVENTS, "data: a\r\n\r\ndata:b\r\rdata: c\n\r\n", "[a][b][c]");
    gives(ANSWER_EVENTS, "data: a\ndata:  b\ndata\ndata:\n\n", "[a\n b\n\n]");
    gives(ANSWER_EVENTS, ": hello\n\nevent: x\nid: 7\nretry: 10\ndata: a\n\n", "[a]");
    gives(ANSWER_EVENTS,
          "\xef\xbb\xbf"
          "data: a\n\n\xef\xbb\xbf"
          "data: b\n\n",
          "[a]");
    gives(ANSWER_EVENTS, "event: x\n\ndatax: 1\n\n dat: 1\n\n", "");
    gives(ANSWER_EVENTS, "data\n\n", "[]");
    gives(ANSWER_EVENTS, "data: a\n\ndata: b", "[a][b]");
    gives(ANSWER_EVENTS, "data: a\n\ndata: b\n", "[a][b]");
    gives(ANSWER_EVENTS, "data: 12345678901234567890\n\n", "[12345678901234567890]");
    gives(ANSWER_EVENTS, "data: 123456789012345678901\n\n", "!");
    gives(ANSWER_EVENTS, "data: 1234567890\ndata: 1234567890\n\n", "!");
    gives(ANSWER_EVENTS, "data: \xff\n\n", "!");
}

static void test_what_is_wrong_is_said(void **state)
{
    struct error error;
    struct buf out = {0};
    cut(ANSWER_TEXT, STR("\xff"), 1, &out, &error);
    assert_non_null(strstr(error.text, "UTF-8"));
    assert_int_equal(error.code, ERR_INTERNAL_ERROR);
    cut(ANSWER_LINES, STR("1234567890123456789012345678901234567890"), 50, &out, &error);
    assert_string_equal(error.text, "a frame of the answer is over 20 bytes");
    assert_int_equal(error.code, ERR_TOO_LARGE);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_a_whole_answer_is_one_frame),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_event_streams),
        cmocka_unit_test(test_what_is_wrong_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
