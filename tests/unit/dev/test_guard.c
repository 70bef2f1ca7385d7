/* test_guard.c - which requests the internal listener of `carillon dev` takes. */
#include <stdio.h>

#include "common/protocol/http_head.h"
#include "server/dev/guard.h"
#include "tests/support/unit.h"

static const struct guard own = {.port = 8081};
static const struct guard remote = {.port = 8081, .allow_remote = true};

/* A request with these header lines besides Host, from that address. */
static bool passes_from(const struct guard *guard, const char *address, const char *method, const char *host,
                        const char *lines)
{
    char text[1024];
    struct http_head head;
    struct error error;
    size_t scanned = 0;
    snprintf(text, sizeof text, "%s /x HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, host, lines);
    assert_int_equal(http_head_parse(str_from_cstr(text), sizeof text, &scanned, &head, &error), HTTP_HEAD_DONE);
    struct http_request request = {.method = head.method,
                                   .host = head.host,
                                   .origin = STR(""),
                                   .address = str_from_cstr(address),
                                   .fields = &head.fields};
    http_head_find(&head, STR("origin"), &request.origin);
    return guard_check(guard, &request, &error) == ERR_NONE;
}

static bool passes(const struct guard *guard, const char *host, const char *lines)
{
    return passes_from(guard, "127.0.0.1", "POST", host, lines);
}

static void hosts(void **state)
{
    (void)state;
    static const char *const good[] = {"localhost:8081", "LocalHost:8081", "127.0.0.1:8081", "127.8.9.1:8081",
                                       "[::1]:8081"};
    static const char *const bad[] = {"localhost",
                                      "localhost:8080",
                                      "localhost:80810",
                                      "evil.example:8081",
                                      "127.0.0.1.evil.example:8081",
                                      "localhost.evil.example:8081",
                                      "[::2]:8081",
                                      "10.0.0.1:8081",
                                      "127.0.0.1:",
                                      ":8081",
                                      "carillon:8081",
                                      "127.0.0.1:8081:8081"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(passes(&own, good[i], ""));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (passes(&own, bad[i], ""))
            fail_msg("%s passes", bad[i]);
}

static void hosts_of_other_machines(void **state)
{
    (void)state;
    static const char *const good[] = {"localhost:9081",  "carillon",       "carillon:1",
                                       "172.17.0.2:8081", "[fd00::1]:8081", "host.docker.internal:8081",
                                       "box.local",       "a.test:1",       "a.localhost"};
    static const char *const bad[] = {"evil.example",         "evil.example:8081", "internal.evil.example",
                                      "evilinternal.example", ".internal:8081",    "1.2.3.4.evil.example"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!passes_from(&remote, "172.17.0.1", "POST", good[i], ""))
            fail_msg("%s does not pass", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (passes(&remote, bad[i], ""))
            fail_msg("%s passes", bad[i]);
    assert_false(passes_from(&own, "172.17.0.1", "POST", "localhost:8081", ""));
    assert_true(passes_from(&own, "::1", "POST", "localhost:8081", ""));
}

static void origins(void **state)
{
    (void)state;
    assert_true(passes(&own, "localhost:8081", "Origin: http://localhost:8081\r\n"));
    static const char *const bad[] = {"http://localhost:5173", "http://127.0.0.1:8081", "https://localhost:8081",
                                      "null", "http://evil.example"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char line[128];
        snprintf(line, sizeof line, "Origin: %s\r\n", bad[i]);
        assert_false(passes(&own, "localhost:8081", line));
        assert_false(passes(&remote, "localhost:8081", line));
    }
}

#define SITE(site, mode, dest) "Sec-Fetch-Site: " site "\r\nSec-Fetch-Mode: " mode "\r\nSec-Fetch-Dest: " dest "\r\n"

static void sites(void **state)
{
    (void)state;
    const char *host = "localhost:8081";
    assert_true(passes(&own, host, SITE("same-origin", "cors", "empty")));
    assert_true(passes(&own, host, SITE("none", "navigate", "document")));
    assert_false(passes(&own, host, SITE("same-site", "cors", "empty")));
    assert_false(passes(&own, host, SITE("cross-site", "no-cors", "image")));
    assert_false(passes(&own, host, SITE("cross-site", "navigate", "document"))); /* a form: POST */
    assert_true(passes_from(&own, "127.0.0.1", "GET", host, SITE("cross-site", "navigate", "document")));
    assert_false(passes_from(&own, "127.0.0.1", "GET", host, SITE("cross-site", "navigate", "iframe")));
    assert_false(passes_from(&own, "127.0.0.1", "GET", host, SITE("cross-site", "cors", "document")));
    assert_false(passes(&own, host, "Sec-Fetch-Site: x\r\n"));
}

static void addresses_of_this_machine(void **state)
{
    (void)state;
    static const char *const good[] = {"127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST"};
    static const char *const bad[] = {
        "", "0.0.0.0", "::", "[::]", "*", "10.0.0.1", "::ffff:10.0.0.1", "localhost.example", "128.0.0.1"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(guard_is_loopback(str_from_cstr(good[i])));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(guard_is_loopback(str_from_cstr(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts), cmocka_unit_test(hosts_of_other_machines),   cmocka_unit_test(origins),
        cmocka_unit_test(sites), cmocka_unit_test(addresses_of_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
