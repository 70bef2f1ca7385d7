/* The answers of servers about the places of others, and texts that could not be an address. */
#include <hiredis/hiredis.h>

#include "server/broker/redis/topology/redis_slots.h"
#include "server/broker/redis/topology/redis_whereabouts.h"
#include "tests/support/unit.h"

static redisReply *read_reply(const char *bytes)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    redisReaderFeed(reader, bytes, strlen(bytes));
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    return reply;
}

static void test_errors(void **state)
{
    static const struct {
        const char *text, *host, *port; /* host NULL: it says nothing */
        unsigned slot;
    } rows[] = {
        {"MOVED 3999 127.0.0.1:6381", "127.0.0.1", "6381", 3999},
        {"MOVED 0 ::1:6381", "::1", "6381", 0},
        {"MOVED 16383 :6381", "", "6381", 16383},
        {"MOVED 16384 h:1", NULL, NULL, 0},
        {"MOVED -1 h:1", NULL, NULL, 0},
        {"MOVED 1 h", NULL, NULL, 0},
        {"MOVED 1 h:", NULL, NULL, 0},
        {"MOVED 1 h:0", NULL, NULL, 0},
        {"MOVED 1 h:65536", NULL, NULL, 0},
        {"MOVED 1 h i:1", NULL, NULL, 0},
        {"MOVED 1 h\n:1", NULL, NULL, 0},
        {"MOVED 1", NULL, NULL, 0},
        {"MOVED", NULL, NULL, 0},
        {"ASK 1 h:1", NULL, NULL, 0},
        {"MOVEDX 1 h:1", NULL, NULL, 0},
        {"", NULL, NULL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct redis_whereabouts where;
        bool said = redis_whereabouts_of_error(str_from_cstr(rows[i].text), STR("MOVED"), &where);
        if (said != (rows[i].host != NULL))
            fail_msg("%s", rows[i].text);
        if (!said)
            continue;
        assert_str(where.host, rows[i].host);
        assert_str(where.port, rows[i].port);
        assert_int_equal(where.first, rows[i].slot);
        assert_int_equal(where.last, rows[i].slot);
    }
}

static void test_ranges(void **state)
{
    static const struct {
        const char *reply, *host; /* NULL: it is none */
    } rows[] = {
        {"*3\r\n:0\r\n:16383\r\n*3\r\n$1\r\nh\r\n:7000\r\n$2\r\nid\r\n", "h"},
        {"*3\r\n:5\r\n:5\r\n*2\r\n$1\r\n?\r\n:7000\r\n", ""},
        {"*3\r\n:5\r\n:5\r\n*2\r\n$-1\r\n:7000\r\n", ""},
        {"*3\r\n:5\r\n:4\r\n*2\r\n$1\r\nh\r\n:7000\r\n", NULL},
        {"*3\r\n:-1\r\n:4\r\n*2\r\n$1\r\nh\r\n:7000\r\n", NULL},
        {"*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\nh\r\n:7000\r\n", NULL},
        {"*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n:0\r\n", NULL},
        {"*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n:-7000\r\n", NULL},
        {"*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n:65536\r\n", NULL},
        {"*3\r\n:0\r\n:1\r\n*2\r\n$2\r\nh \r\n:7000\r\n", NULL},
        {"*3\r\n:0\r\n:1\r\n*1\r\n$1\r\nh\r\n", NULL},
        {"*2\r\n:0\r\n:1\r\n", NULL},
        {"+OK\r\n", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct redis_whereabouts where;
        redisReply *reply = read_reply(rows[i].reply);
        if (redis_whereabouts_of_range(reply, &where) != (rows[i].host != NULL))
            fail_msg("row %zu", i);
        if (rows[i].host) {
            assert_str(where.host, rows[i].host);
            assert_str(where.port, "7000");
        }
        freeReplyObject(reply);
    }
}

static void test_primaries(void **state)
{
    static const struct {
        const char *reply;
        bool good;
    } rows[] = {
        {"*2\r\n$1\r\nh\r\n$4\r\n6379\r\n", true},
        {"*2\r\n$0\r\n\r\n$4\r\n6379\r\n", false},
        {"*2\r\n$1\r\nh\r\n:6379\r\n", false},
        {"*2\r\n$1\r\nh\r\n$1\r\n0\r\n", false},
        {"*-1\r\n", false},
        {"*1\r\n$1\r\nh\r\n", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct redis_whereabouts where;
        redisReply *reply = read_reply(rows[i].reply);
        assert_int_equal(redis_whereabouts_of_primary(reply, &where), rows[i].good);
        freeReplyObject(reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_primaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
