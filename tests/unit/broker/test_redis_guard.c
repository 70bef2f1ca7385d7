/* Replies that a server may send, and replies that are refused before hiredis allocates for them, in pieces of any
 * size. */
#include <hiredis/hiredis.h>

#include "server/broker/redis/client/redis_guard.h"
#include "tests/support/unit.h"

enum { BYTES_MAX = 1000 };

static const struct {
    const char *bytes;
    int replies;     /* in them; -1: they are refused */
    const char *why; /* a part of it */
} cases[] = {
    {"+OK\r\n", 1, NULL},
    {"-ERR no\r\n:-12\r\n", 2, NULL},
    {"$5\r\nhello\r\n", 1, NULL},
    {"$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n", 4, NULL},
    {"$4\r\n\r\n\r\n\r\n", 1, NULL},
    {"*2\r\n*1\r\n:1\r\n*0\r\n+rest\r\n", 2, NULL},
    {"*2\r\n$1\r\na\r\n", 0, NULL},
    {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", 1, NULL},
    {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", -1, "within each other"},
    {"*2147483648\r\n", -1, "1048576 elements"},
    {"*1048577\r\n", -1, "1048576 elements"},
    {"*2\r\n*1048575\r\n", -1, "1048576 elements"},
    {"*999999999999999\r\n", -1, "1048576 elements"},
    {"*9999999999999999999999\r\n", -1, "no number"},
    {"$1001\r\n", -1, "1000 bytes"},
    {"*2\r\n$1000\r\n", 0, NULL},
    {"*2\r\n+a\r\n$1000\r\n", -1, "1000 bytes"},
    {"$2147483648\r\n", -1, "1000 bytes"},
    {"$-2\r\n", -1, "no number"},
    {"*-0\r\n", -1, "no number"},
    {"*\r\n", -1, "no number"},
    {"*+1\r\n", -1, "no number"},
    {"$5\nhello\r\n", -1, "no number"},
    {"$5\r hello\r\n", -1, "end as lines do"},
    {"$5\r\nhello!\r\n", -1, "as long as it says"},
    {"$5\r\nhello\rx", -1, "as long as it says"},
    {"+OK\n", -1, "end as lines do"},
    {"+O\rK\r\n", -1, "end as lines do"},
    {"%1\r\n+a\r\n+b\r\n", -1, "no known type"},
    {">1\r\n+a\r\n", -1, "no known type"},
    {"HTTP/1.1 400 Bad Request\r\n", -1, "no known type"},
};

static enum err feed(struct redis_guard *guard, struct str bytes, size_t piece, struct error *error)
{
    enum err err = ERR_NONE;
    for (size_t at = 0; at < bytes.len && !err; at += piece)
        err = redis_guard_take(guard, str_from(bytes.ptr + at, bytes.len - at < piece ? bytes.len - at : piece), error);
    return err;
}

/* How many replies hiredis finds in them. */
static int count_replies(struct str bytes)
{
    redisReader *reader = redisReaderCreate();
    void *reply;
    int count = 0;
    redisReaderFeed(reader, bytes.ptr, bytes.len);
    for (;; count++) {
        assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
        if (!reply)
            break;
        freeReplyObject(reply);
    }
    redisReaderFree(reader);
    return count;
}

static void test_table(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str bytes = str_from_cstr(cases[i].bytes);
        for (size_t piece = 1; piece <= bytes.len; piece++) {
            struct redis_guard guard = {.bytes_max = BYTES_MAX};
            struct error error = {0};
            enum err err = feed(&guard, bytes, piece, &error);
            if ((err != ERR_NONE) != (cases[i].replies < 0))
                fail_msg("case %zu in pieces of %zu: %s", i, piece, error.text);
            if (err)
                assert_non_null(strstr(error.text, cases[i].why));
            else
                assert_int_equal(guard.replies, cases[i].replies);
        }
        if (cases[i].replies >= 0)
            assert_int_equal(count_replies(bytes), cases[i].replies);
    }
}

static void test_lines_are_bounded(void **state)
{
    struct redis_guard guard = {.bytes_max = UINT64_MAX};
    struct error error;
    char line[REDIS_LINE_MAX];
    memset(line, 'x', sizeof line);
    assert_int_equal(redis_guard_take(&guard, STR("-"), &error), ERR_NONE);
    assert_int_equal(redis_guard_take(&guard, str_from(line, sizeof line), &error), ERR_NONE);
    assert_int_equal(redis_guard_take(&guard, STR("x"), &error), ERR_INVALID_REQUEST);
}

/* The next reply may have as much as the last one, whatever that one has used up. */
static void test_each_reply_counts_for_itself(void **state)
{
    struct redis_guard guard = {.bytes_max = 5};
    struct error error;
    for (int i = 0; i < 100; i++)
        assert_int_equal(redis_guard_take(&guard, STR("$5\r\nhello\r\n*1\r\n+PONG\r\n"), &error), ERR_NONE);
    assert_int_equal(guard.replies, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_lines_are_bounded),
        cmocka_unit_test(test_each_reply_counts_for_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
