/* test_url.c - the URLs of the client subcommands. */
#include "common/protocol/url.h"
#include "tests/support/unit.h"

static void test_parts(void **state)
{
    static const struct {
        const char *text;
        bool secure;
        const char *host;
        uint16_t port;
        const char *authority;
        const char *target;
        const char *path;
        const char *query;
        const char *shown;
    } cases[] = {
        {"ws://localhost", false, "localhost", 80, "localhost", "/", "/", "", "ws://localhost"},
        {"ws://10.0.0.1:8080/ws", false, "10.0.0.1", 8080, "10.0.0.1:8080", "/ws", "/ws", "", "ws://10.0.0.1:8080/ws"},
        {"wss://a-b.example/ws?token=a.b&x?", true, "a-b.example", 443, "a-b.example", "/ws?token=a.b&x?", "/ws",
         "token=a.b&x?", "wss://a-b.example/ws"},
        {"wss://[2001:db8::1]:65535/", true, "2001:db8::1", 65535, "[2001:db8::1]:65535", "/", "/", "",
         "wss://[2001:db8::1]:65535/"},
        {"WS://Host/A", false, "Host", 80, "Host", "/A", "/A", "", "WS://Host/A"},
        {"WsS://h", true, "h", 443, "h", "/", "/", "", "WsS://h"},
        {"ws://[::1]", false, "::1", 80, "[::1]", "/", "/", "", "ws://[::1]"},
        {"ws://h/a@b:c//d", false, "h", 80, "h", "/a@b:c//d", "/a@b:c//d", "", "ws://h/a@b:c//d"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct url url;
        struct error error;
        if (url_parse(str_from_cstr(cases[i].text), "ws", &url, &error) != ERR_NONE)
            fail_msg("%s: %s", cases[i].text, error.text);
        assert_int_equal(url.secure, cases[i].secure);
        assert_int_equal(url.port, cases[i].port);
        assert_str(url.host, cases[i].host);
        assert_str(url.authority, cases[i].authority);
        assert_str(url.target, cases[i].target);
        assert_str(url.path, cases[i].path);
        assert_str(url.query, cases[i].query);
        assert_str(url.shown, cases[i].shown);
    }
}

static void test_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "localhost:8080",
        "http://localhost",
        "wsx://localhost",
        "ws:/localhost",
        "ws://",
        "ws:///ws",
        "ws://:80/",
        "ws://h:/",
        "ws://h:0/",
        "ws://h:65536/",
        "ws://h:-1/",
        "ws://h:80x/",
        "ws://[::1/",
        "ws://[]/",
        "ws://[::1]80/",
        "ws://h?x=secret",
        "ws://user:secret@h/",
        "user:secret@h",
        "ws://h/a b",
        "ws://h/#secret",
        "ws://h/\r\nX: 1",
        "ws://h/\xc3\xa4",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct url url;
        struct error error;
        if (url_parse(str_from_cstr(cases[i]), "ws", &url, &error) != ERR_INVALID_REQUEST)
            fail_msg("not refused: %s", cases[i]);
        assert_null(strstr(error.text, "secret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
