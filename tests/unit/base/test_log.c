/* test_log.c - logged text cannot forge a line, in either format, and levels hold. */
#include <stdio.h>
#include <unistd.h>

#include "common/base/log.h"
#include "tests/support/unit.h"

static int saved_stderr;
static FILE *caught;

static int set_up(void **state)
{
    caught = tmpfile();
    saved_stderr = dup(STDERR_FILENO);
    return caught && dup2(fileno(caught), STDERR_FILENO) >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    fclose(caught);
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    return 0;
}

/* The log so far, without the time. The time stands at skip and is 24 bytes long. */
static const char *logged_without_time(size_t skip)
{
    static char text[4096];
    rewind(caught);
    size_t len = fread(text, 1, sizeof text - 1, caught);
    text[len] = '\0';
    if (len < skip + 24)
        return text;
    memmove(text + skip, text + skip + 24, len - skip - 24 + 1);
    return text;
}

static void test_text(void **state)
{
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info("net", "peer %d said \"a\nb\\\x1b[31m\x7F\"", 7);
    assert_string_equal(logged_without_time(0), " INFO  net: peer 7 said \"a\\x0ab\\\\x1b[31m\\x7f\"\n");
}

static void test_json(void **state)
{
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_error("broker", "said \"a\nb\\ caf\xC3\xA9");
    assert_string_equal(logged_without_time(9), "{\"time\":\"\",\"level\":\"error\",\"module\":\"broker\","
                                                "\"message\":\"said \\\"a\\u000ab\\\\ caf\xC3\xA9\"}\n");
}

static void test_ill_formed_text_stays_utf8(void **state)
{
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_warn("net", "x\xFF");
    const char *text = logged_without_time(9);
    assert_true(str_is_utf8(str_from_cstr(text)));
    assert_non_null(strstr(text, "x\\u00ff"));
}

static void test_levels(void **state)
{
    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    assert_true(log_enabled(LOG_LEVEL_ERROR) && log_enabled(LOG_LEVEL_WARN));
    assert_false(log_enabled(LOG_LEVEL_INFO) || log_enabled(LOG_LEVEL_DEBUG));
    log_info("net", "not seen");
    log_debug("net", "not seen");
    log_warn("net", "seen");
    assert_string_equal(logged_without_time(0), " WARN  net: seen\n");
}

static void test_long_lines_are_cut(void **state)
{
    char text[4000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_info("net", "%s", text);
    size_t len = strlen(logged_without_time(0));
    assert_true(len > 1000 && len < 2200);
}

/* Control characters become six bytes each. A pipe takes PIPE_BUF bytes whole. */
static void test_escaped_lines_are_cut_too(void **state)
{
    char text[2000];
    memset(text, 1, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_info("net", "%s", text);
    const char *line = logged_without_time(9);
    size_t len = strlen(line);
    assert_true(len > 3900 && len + 24 <= 4096);
    assert_string_equal(line + len - 6, "...\"}\n");
}

/* Twice as many lines as a pipe holds: nobody waits, and once somebody reads, one line says how many are missing. */
static void test_a_pipe_that_nobody_reads(void **state)
{
    int ends[2];
    char text[1000], read_back[65536];
    unsigned long long before = log_dropped();
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    for (int i = 0; i < 200; i++)
        log_info("net", "%s", text);
    unsigned long long dropped = log_dropped() - before;
    assert_true(dropped > 100 && dropped < 190);
    log_catch_up(); /* no room yet */
    size_t len = 0;
    for (int i = 0; i < 4; i++) {
        ssize_t n = read(ends[0], read_back, sizeof read_back - 1);
        assert_true(n > 0);
        len += (size_t)n;
        if (n < (ssize_t)sizeof read_back - 1)
            break;
    }
    assert_true(len > 9000);
    log_catch_up();
    log_catch_up(); /* said once */
    log_info("net", "after");
    ssize_t n = read(ends[0], read_back, sizeof read_back - 1);
    assert_true(n > 0);
    read_back[n] = '\0';
    char expected[80];
    snprintf(expected, sizeof expected, " WARN  log: %llu lines of the log were dropped: nobody read them\n", dropped);
    if (strncmp(read_back + 24, expected, strlen(expected)) != 0 || !strstr(read_back, " INFO  net: after\n"))
        fail_msg("%s instead of %s", read_back, expected);
    assert_null(strstr(strstr(read_back, "dropped") + 1, "dropped"));
    close(ends[0]);
    close(ends[1]);
}

static void test_a_frequent_warning_is_said_every_ten_seconds(void **state)
{
    struct log_limit limit = {0};
    unsigned long long count = 0;
    assert_true(log_limit_passes(&limit, 5, &count));
    assert_int_equal(count, 1);
    for (uint64_t now_us = 6; now_us < 10; now_us++)
        assert_false(log_limit_passes(&limit, now_us, &count));
    assert_false(log_limit_passes(&limit, 10 * 1000 * 1000 + 4, &count));
    assert_int_equal(count, 1);
    assert_true(log_limit_passes(&limit, 10 * 1000 * 1000 + 5, &count));
    assert_int_equal(count, 6);
    assert_true(log_limit_passes(&limit, 90 * 1000 * 1000, &count));
    assert_int_equal(count, 1);
}

static void test_several_warnings_in_ten_seconds(void **state)
{
    struct log_limit limit = {.most = 3};
    unsigned long long count = 0;
    for (uint64_t now_us = 5; now_us < 8; now_us++) {
        assert_true(log_limit_passes(&limit, now_us, &count));
        assert_int_equal(count, 1);
    }
    for (uint64_t now_us = 8; now_us < 18; now_us++)
        assert_false(log_limit_passes(&limit, now_us, &count));
    assert_true(log_limit_passes(&limit, 10 * 1000 * 1000 + 5, &count));
    assert_int_equal(count, 11);
    assert_true(log_limit_passes(&limit, 10 * 1000 * 1000 + 6, &count));
    assert_int_equal(count, 1);
    /* Another thread may have read its clock before. */
    assert_true(log_limit_passes(&limit, 10 * 1000 * 1000, &count));
    assert_false(log_limit_passes(&limit, 10 * 1000 * 1000, &count));
}

#define LOG_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_text),
        LOG_TEST(test_json),
        LOG_TEST(test_ill_formed_text_stays_utf8),
        LOG_TEST(test_levels),
        LOG_TEST(test_long_lines_are_cut),
        LOG_TEST(test_escaped_lines_are_cut_too),
        LOG_TEST(test_a_pipe_that_nobody_reads),
        cmocka_unit_test(test_a_frequent_warning_is_said_every_ten_seconds),
        cmocka_unit_test(test_several_warnings_in_ten_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
