/* test_api_history.c - pages of a channel's history over HTTP. */
#include "common/base/alloc.h"
#include "tests/unit/api/api_fixture.h"

static struct fixture f;
static struct router_of x;

static int setup(void **state)
{
    (void)state;
    fixture_setup(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_teardown(&f);
    return 0;
}

static void answer_read(const char *epoch, uint64_t offset)
{
    struct history_read *read = f.read;
    f.read = NULL;
    strcpy(read->epoch, epoch);
    read->offset = offset;
    if (offset) {
        history_read_add_json(read, offset - 1, STR(""), STR("{\"a\":1}"));
        history_read_add_json(read, offset, STR(""), STR("{\"a\":2}"));
        read->more = true;
    }
    history_read_check(read); /* as the router does */
    read->base.done(&read->base, NULL);
}

static void test_pages(void **state)
{
    (void)state;
    send_request(&f, &x, "GET", "/api/v1/channels/log%3Aa/history", "");
    assert_non_null(f.read);
    assert_true(str_eq_cstr(f.read->base.channel, "log:a"));
    assert_true(f.read->backwards);
    assert_int_equal(f.read->before, 0);
    assert_int_equal(f.read->limit, 50);
    answer_read("e", 7);
    expect(&x, 200,
           "{\"channel\":\"log:a\",\"epoch\":\"e\",\"offset\":7,\"events\":[{\"a\":1},{\"a\":2}],\"more\":true}");

    send_request(&f, &x, "GET", "/api/v1/channels/log:a/history?before_offset=6&before_epoch=e&limit=2", "");
    assert_true(f.read->backwards);
    assert_int_equal(f.read->before, 6);
    assert_int_equal(f.read->limit, 2);
    answer_read("f", 7);
    expect_part(&x, 409, "\"code\":\"conflict\"");

    send_request(&f, &x, "GET", "/api/v1/channels/log:a/history?since_offset=0&since_epoch=e", "");
    assert_false(f.read->backwards);
    assert_int_equal(f.read->after, 0);
    answer_read("e", 7);
    expect_part(&x, 200, "\"offset\":7");

    send_request(&f, &x, "GET", "/api/v1/channels/plain/history?since_offset=3", "");
    answer_read("", 0);
    expect(&x, 200, "{\"channel\":\"plain\",\"events\":[],\"more\":false}");

    send_request(&f, &x, "GET", "/api/v1/channels/plain/history?before_offset=0", "");
    assert_int_equal(f.read->before, 1);
    request_fail(&f.read->base, ERR_UNAVAILABLE, "away");
    answer_read("", 0);
    assert_int_equal(x.call.response.retry_after_s, 1);
    expect(&x, 503, "{\"error\":{\"code\":\"unavailable\",\"message\":\"away\"}}");
}

static void test_bad_questions(void **state)
{
    static const struct {
        const char *target, *part;
    } cases[] = {
        {"/api/v1/channels/a/history?limit=0", "limit: expected a whole number from 1 to 1000"},
        {"/api/v1/channels/a/history?limit=1001", "limit: expected"},
        {"/api/v1/channels/a/history?limit=x", "limit: expected a whole number"},
        {"/api/v1/channels/a/history?since_offset=-1", "since_offset: expected a whole number"},
        {"/api/v1/channels/a/history?since_offset=1&before_offset=2", "only one of since_offset and before_offset"},
        {"/api/v1/channels/a/history?since_offset=1&since_epoch=", "since_epoch: expected 1 to 32 bytes"},
        {"/api/v1/channels/a/history?since_epoch=e", "since_epoch: needs since_offset too"},
        {"/api/v1/channels/a/history?before_epoch=e", "before_epoch: needs before_offset too"},
        {"/api/v1/channels/a/history?before_offset=2&since_epoch=e", "since_epoch: needs since_offset too"},
        {"/api/v1/channels/a/history?since_offset=2&since_epoch=e&before_epoch=e",
         "before_epoch: needs before_offset too"},
        {"/api/v1/channels/a%20b/history", "channel"},
        {"/api/v1/channels/a%2/history", "percent"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        send_request(&f, &x, "GET", cases[i].target, "");
        assert_null(f.read);
        expect_part(&x, 400, cases[i].part);
    }
    send_request(&f, &x, "GET", "/api/v1/channels//history", "");
    expect_part(&x, 404, "not_found");
    send_request(&f, &x, "GET", "/api/v1/channels/a/b/history", "");
    expect_part(&x, 404, "not_found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_questions, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
