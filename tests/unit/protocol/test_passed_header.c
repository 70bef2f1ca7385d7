/* test_passed_header.c - which headers of a client a backend may get. */
#include "common/protocol/passed_header.h"
#include "tests/support/unit.h"

static void which_headers_may_pass(void **state)
{
    (void)state;
    static const char *const good[] = {"x-trace", "Accept-Language", "user-agent", "cemetery", "cookies", "tracestate"};
    static const char *const bad[] = {"",
                                      "ce-id",
                                      "CE-x",
                                      "Webhook-Id",
                                      "authorization",
                                      "Cookie",
                                      "host",
                                      "Content-Length",
                                      "Upgrade",
                                      "sec-websocket-key",
                                      "x y",
                                      "x\r\ny",
                                      "x:",
                                      "TE",
                                      "Traceparent",
                                      "accept-encoding",
                                      "HTTP2-Settings",
                                      "Transfer-Encoding",
                                      "proxy-authorization"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(passed_header_is_good(str_from_cstr(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(passed_header_is_good(str_from_cstr(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_headers_may_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
