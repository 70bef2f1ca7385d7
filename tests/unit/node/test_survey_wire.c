/* test_survey_wire.c - the messages of nodes, both ways. Malformed ones are refused. */
#include "server/node/survey_wire.h"
#include "tests/support/unit.h"

static void test_question_both_ways(void **state)
{
    struct control_request request = {
        .op = CONTROL_DISCONNECT, .user = STR("e\"v\\e"), .code = 4000, .reason = STR("moved\thouse")};
    struct survey_message read;
    struct buf text = {0}, scratch = {0};
    struct error error;
    (void)state;
    survey_write_question(&text, UINT64_MAX, &request);
    assert_int_equal(survey_read(buf_str(&text), &scratch, &read, &error), ERR_NONE);
    assert_false(read.is_answer);
    assert_true(read.id == UINT64_MAX);
    assert_int_equal(read.request.op, CONTROL_DISCONNECT);
    assert_str(read.request.user, "e\"v\\e");
    assert_str(read.request.reason, "moved\thouse");
    assert_int_equal(read.request.code, 4000);
    buf_fini(&text);
    buf_fini(&scratch);
}

static void test_message_both_ways(void **state)
{
    const struct str messages[] = {STR(""), STR("a"), STR("\xff\0\x01\"\\"), STR("\xd0\xb1")};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(messages); i++) {
        const struct control_request request = {
            .op = CONTROL_SEND, .session_id = STR("s\"1"), .message = messages[i], .binary = i < 3};
        struct survey_message read;
        struct buf text = {0}, scratch = {0};
        survey_write_question(&text, 7, &request);
        assert_int_equal(survey_read(buf_str(&text), &scratch, &read, NULL), ERR_NONE);
        assert_int_equal(read.request.op, CONTROL_SEND);
        assert_str(read.request.session_id, "s\"1");
        assert_true(str_eq(read.request.message, messages[i]));
        assert_int_equal(read.request.binary, i < 3);
        buf_fini(&text);
        buf_fini(&scratch);
    }
}

static void test_answer_both_ways(void **state)
{
    struct control_row rows[] = {{.key = STR("one"), .user = STR("\"u\""), .address = STR("::1"), .connected_ms = 1},
                                 {.key = STR("t\"wo"), .subscribers = 7, .outbox_bytes = 8, .channels = 9},
                                 {.key = STR("x"), .epoch = STR("e"), .offset = 4, .subscribed = 1, .recovering = 1}};
    struct survey_message written = {
        .id = 5,
        .is_answer = true,
        .partial = true,
        .node = STR("{\"version\":\"0\"}"),
        .result = {.count = 3, .more = true, .rows = rows, .row_count = 3, .session = rows}};
    struct survey_message read;
    struct buf text = {0}, scratch = {0};
    struct error error;
    (void)state;
    survey_write_answer(&text, &written);
    assert_int_equal(survey_read(buf_str(&text), &scratch, &read, &error), ERR_NONE);
    assert_true(read.is_answer && read.partial && read.result.more);
    assert_int_equal(read.id, 5);
    assert_int_equal(read.result.count, 3);
    assert_str(read.node, "{\"version\":\"0\"}");
    assert_int_equal(read.result.row_count, 3);
    assert_str(read.result.rows[0].user, "\"u\"");
    assert_str(read.result.rows[1].key, "t\"wo");
    assert_int_equal(read.result.rows[1].subscribers, 7);
    assert_int_equal(read.result.rows[1].outbox_bytes, 8);
    assert_int_equal(read.result.rows[1].channels, 9);
    assert_str(read.result.rows[2].epoch, "e");
    assert_int_equal(read.result.rows[2].offset, 4);
    assert_true(read.result.rows[2].subscribed && read.result.rows[2].recovering);
    assert_str(read.result.session->key, "one");
    assert_str(read.result.session->address, "::1");
    control_result_fini(&read.result);
    for (size_t cut = 0; cut < text.len; cut++)
        assert_int_equal(survey_read(str_from(text.ptr, cut), &scratch, &read, &error), ERR_INVALID_REQUEST);
    buf_fini(&text);
    buf_fini(&scratch);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "[]",
        "{\"v\":2,\"ask\":1,\"op\":\"info\"}",
        "{\"ask\":1,\"op\":\"info\"}",
        "{\"v\":1,\"op\":\"info\"}",
        "{\"v\":1,\"ask\":-1,\"op\":\"info\"}",
        "{\"v\":1,\"ask\":1}",
        "{\"v\":1,\"ask\":1,\"op\":\"explode\"}",
        "{\"v\":1,\"ask\":1,\"answer\":1,\"op\":\"info\"}",
        "{\"v\":1,\"ask\":1,\"op\":\"disconnect\"}",
        "{\"v\":1,\"ask\":1,\"op\":\"disconnect\",\"user\":7}",
        "{\"v\":1,\"ask\":1,\"op\":\"disconnect\",\"user\":\"a\\u0000\"}",
        "{\"v\":1,\"ask\":1,\"op\":\"send\",\"user\":\"u\",\"message\":\"a\"}",
        "{\"v\":1,\"ask\":1,\"op\":\"send\",\"user\":\"u\",\"message\":\"_w\"}",
        "{\"v\":1,\"ask\":1,\"op\":\"send\",\"message\":\"YQ\"}",
        "{\"v\":1,\"ask\":1,\"op\":\"sessions\"}",
        "{\"v\":1,\"ask\":1,\"op\":\"sessions\",\"limit\":1001}",
        "{\"v\":1,\"ask\":1,\"op\":\"sessions\",\"limit\":1.5}",
        "{\"v\":1,\"ask\":1,\"op\":\"session\",\"limit\":1}",
        "{\"v\":1,\"ask\":1,\"op\":\"session\",\"session_id\":\"s\"}",
        "{\"v\":1,\"answer\":1,\"count\":0,\"more\":false,\"partial\":false}",
        "{\"v\":1,\"answer\":1,\"count\":-1,\"more\":false,\"partial\":false,\"rows\":[]}",
        "{\"v\":1,\"answer\":1,\"count\":0,\"more\":false,\"partial\":false,\"rows\":[1]}",
        "{\"v\":1,\"answer\":1,\"count\":0,\"more\":false,\"partial\":false,\"rows\":[{}]}",
        "{\"v\":1,\"answer\":1,\"count\":0,\"more\":false,\"partial\":false,\"rows\":[],\"node\":\"x\"}",
        "{\"v\":1,\"answer\":1,\"count\":0,\"more\":false,\"partial\":false,\"rows\":[],\"session\":{}}",
        "{\"v\":1,\"answer\":1,\"count\":0,\"more\":false,\"partial\":false,\"rows\":[{\"key\":\"a\"}],\"session\":1}",
    };
    struct buf scratch = {0};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct survey_message read;
        struct error error;
        if (survey_read(str_from_cstr(bad[i]), &scratch, &read, &error) != ERR_INVALID_REQUEST)
            fail_msg("accepted: %s", bad[i]);
    }
    buf_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_question_both_ways),
        cmocka_unit_test(test_message_both_ways),
        cmocka_unit_test(test_answer_both_ways),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
