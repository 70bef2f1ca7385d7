/* test_redis_url.c - see redis_url.h. */
#include "server/broker/redis/client/redis_url.h"
#include "tests/support/unit.h"

static void accepts_urls(void **state)
{
    static const struct {
        const char *url, *host, *port, *user, *password;
        unsigned database;
    } rows[] = {
        {"redis://localhost", "localhost", "6379", "", "", 0},
        {"redis://localhost/", "localhost", "6379", "", "", 0},
        {"redis://10.0.0.1:7000/3", "10.0.0.1", "7000", "", "", 3},
        {"redis://:s3cret@h:1", "h", "1", "", "s3cret", 0},
        {"redis://app:s3cret@h:65535/15", "h", "65535", "app", "s3cret", 15},
        {"redis://a%40b:p%2Fw%3A%25@h", "h", "6379", "a@b", "p/w:%", 0},
        {"redis://:p@w@h", "h", "6379", "", "p@w", 0},
        {"redis://:a:b@h", "h", "6379", "", "a:b", 0},
        {"REDIS://h/2", "h", "6379", "", "", 2},
        {"rEdIs://h", "h", "6379", "", "", 0},
        {"redis://[::1]", "::1", "6379", "", "", 0},
        {"redis://u:p@[fe80::1]:6380/1", "fe80::1", "6380", "u", "p", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct redis_url url;
        struct error error;
        if (redis_url_parse(str_from_cstr(rows[i].url), &url, &error))
            fail_msg("%s: %s", rows[i].url, error.text);
        assert_int_equal(url.kind, REDIS_SINGLE);
        assert_int_equal(url.endpoint_count, 1);
        assert_string_equal(url.endpoints[0].host, rows[i].host);
        assert_string_equal(url.endpoints[0].port, rows[i].port);
        assert_string_equal(url.login.user, rows[i].user);
        assert_string_equal(url.login.password, rows[i].password);
        assert_int_equal(url.login.database, rows[i].database);
        redis_url_fini(&url);
    }
}

static void takes_sentinels(void **state)
{
    struct redis_url url;
    struct error error;
    assert_int_equal(redis_url_parse(STR("rediss+sentinel://u:p@a:1,b,[::1]:3/the-name/2?sentinel_user=s&"
                                         "sentinel_password=%26q"),
                                     &url, &error),
                     ERR_NONE);
    assert_int_equal(url.kind, REDIS_SENTINEL);
    assert_true(url.tls);
    assert_int_equal(url.endpoint_count, 3);
    assert_string_equal(url.endpoints[0].host, "a");
    assert_string_equal(url.endpoints[1].port, "26379");
    assert_string_equal(url.endpoints[2].host, "::1");
    assert_string_equal(url.master, "the-name");
    assert_int_equal(url.login.database, 2);
    assert_string_equal(url.login.password, "p");
    assert_string_equal(url.sentinel_login.user, "s");
    assert_string_equal(url.sentinel_login.password, "&q");
    redis_url_fini(&url);
}

static void takes_cluster_nodes(void **state)
{
    struct redis_url url;
    struct error error;
    assert_int_equal(redis_url_parse(STR("redis+cluster://:p@a,b:7000/"), &url, &error), ERR_NONE);
    assert_int_equal(url.kind, REDIS_CLUSTER);
    assert_int_equal(url.endpoint_count, 2);
    assert_string_equal(url.endpoints[0].port, "6379");
    assert_string_equal(url.endpoints[1].port, "7000");
    redis_url_fini(&url);
}

static void tells_tls_apart(void **state)
{
    struct redis_url url;
    struct error error;
    assert_int_equal(redis_url_parse(STR("rediss://:p@h/1"), &url, &error), ERR_NONE);
    assert_true(url.tls);
    assert_string_equal(url.endpoints[0].port, "6379");
    redis_url_fini(&url);
    assert_int_equal(redis_url_parse(STR("redis://h"), &url, &error), ERR_NONE);
    assert_false(url.tls);
    redis_url_fini(&url);
}

static void refuses_others_without_showing_them(void **state)
{
    static const struct {
        const char *url, *says;
    } rows[] = {
        {"", "redis://"},
        {"hunter2", "redis://"},
        {"http://:hunter2@h", "redis://"},
        {"unix:/hunter2", "Unix socket"},
        {"rediss://hunter2@h", "rediss://"},
        {"redis+sentinel://:hunter2@a,b", "name the primary"},
        {"redis+sentinel://:hunter2@a,,b/n", "no host"},
        {"redis+sentinel://a/n?hunter2", "sentinel_password"},
        {"redis+sentinel://a/n?sentinel_password=hunter2&sentinel_password=x", "each once"},
        {"redis+sentinel://a/n?sentinel_user=hunter2", "no sentinel_password"},
        {"redis+sentinel://a/n/x", "database"},
        {"redis+cluster://:hunter2@a,b/1", "only one"},
        {"redis://", "no host"},
        {"redis://:6379", "no host"},
        {"redis://:hunter2@", "no host"},
        {"redis://hunter2@h", "no password"},
        {"redis://u:@h", "empty password"},
        {"redis://:hunter2%2@h", "%-escape"},
        {"redis://:hunter2%zz@h", "%-escape"},
        {"redis://:hunter2%00@h", "%-escape"},
        {"redis://:hunter2@h:0", "port"},
        {"redis://:hunter2@h:65536", "port"},
        {"redis://:hunter2@h:", "port"},
        {"redis://:hunter2@h:x", "port"},
        {"redis://:hunt/er2@h", "port"},
        {"redis://:hunter2@h/x", "database"},
        {"redis://:hunter2@h/-1", "database"},
        {"redis://:hunter2@h/0?x=1", "database"},
        {"redis://:hunter2@[::1", "']'"},
        {"redis://:hunter2@[::1]x", "']'"},
        {"redis://:hunter2@h i", "host"},
        {"redis://:hunter2@h?x", "host"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct redis_url url;
        struct error error;
        if (!redis_url_parse(str_from_cstr(rows[i].url), &url, &error))
            fail_msg("accepted: %s", rows[i].url);
        if (!strstr(error.text, rows[i].says) || strstr(error.text, "hunt"))
            fail_msg("%s: %s", rows[i].url, error.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_urls),
        cmocka_unit_test(takes_sentinels),
        cmocka_unit_test(takes_cluster_nodes),
        cmocka_unit_test(tells_tls_apart),
        cmocka_unit_test(refuses_others_without_showing_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
