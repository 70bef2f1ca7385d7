/* test_ingest_entry.c - good and bad entries of the ingest stream. */
#include <stdlib.h>

#include "server/broker/redis/ingest/ingest_entry.h"
#include "tests/support/unit.h"

static struct ingest_settings settings;

static int setup(void **state)
{
    static const struct rule rule[] = {{.match = STR("log:{sub}"), .history = {.size = 7, .ttl_ms = 8}},
                                       {.match = STR("plain")}};
    (void)state;
    settings = (struct ingest_settings){.rules = rules_create(rule, 2), .event_bytes = 20, .custom_events = true};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rules_unref(settings.rules);
    return 0;
}

static enum err read(const char *const *texts, struct publication **out, struct error *error)
{
    struct str fields[16];
    size_t count = 0;
    for (; texts[count]; count++)
        fields[count] = str_from_cstr(texts[count]);
    struct ingest_entry *entry = ingest_entry_create(STR("12-3"), fields, count);
    enum err err = ingest_entry_read(entry, &settings, out, error);
    free(entry);
    return err;
}

static void test_good_entries(void **state)
{
    static const char *const plain[] = {"type", "x", "data", " {\"a\": 1.0} ", "channel", "plain", NULL};
    static const char *const log[] = {"channel", "log:7", "type", "x", "data", "1", "event_id", "mine", NULL};
    static const char *const colon[] = {"channel", "log:urn:acme:7", "type", "x", "data", "1", NULL};
    static const char *const other[] = {"channel", "of-no-rule", "type", "x", "data", "1", NULL};
    struct publication *publication;
    struct error error;
    (void)state;
    assert_int_equal(read(plain, &publication, &error), ERR_NONE);
    assert_str(publication->base.channel, "plain");
    assert_str(publication->event_id, "ingest:12-3");
    assert_int_equal(publication->history.size, 0);
    request_destroy(&publication->base);
    assert_int_equal(read(log, &publication, &error), ERR_NONE);
    assert_str(publication->event_id, "mine");
    assert_str(publication->data, "1");
    assert_int_equal(publication->history.size, 7);
    request_destroy(&publication->base);
    assert_int_equal(read(colon, &publication, &error), ERR_NONE);
    assert_int_equal(publication->history.size, 7);
    request_destroy(&publication->base);
    assert_int_equal(read(other, &publication, &error), ERR_NONE);
    assert_int_equal(publication->history.size, 0);
    request_destroy(&publication->base);
}

static void test_bad_entries(void **state)
{
    static const struct {
        const char *texts[12];
        const char *says;
        enum err code;
    } bad[] = {
        {{NULL}, "channel: missing", ERR_INVALID_REQUEST},
        {{"channel", "plain", "data", "1"}, "type: missing", ERR_INVALID_REQUEST},
        {{"channel", "plain", "type", "x", "data"}, "data: missing", ERR_INVALID_REQUEST},
        {{"channel", "plain", "type", "x", "data", "1", "type", "x"}, "type: given twice", ERR_INVALID_REQUEST},
        {{"channel", "plain", "type", "x", "data", "1", "Data", "1"}, "\"Data\"", ERR_INVALID_REQUEST},
        {{"channel", "", "type", "x", "data", "1"}, "channel:", ERR_INVALID_REQUEST},
        {{"channel", "plain", "type", "x", "data", ""}, "data:", ERR_INVALID_REQUEST},
        {{"channel", "plain", "type", "x", "data", "1 2"}, "data:", ERR_INVALID_REQUEST},
        {{"channel", "plain", "type", "x", "data", "\"123456789012345678901\""}, "at most 20", ERR_TOO_LARGE},
        {{"channel", "plain", "type", "subscribed", "data", "1"}, "subscribed", ERR_INVALID_REQUEST},
        {{"channel", "plain", "type", "x", "data", "1", "event_id", "a b"}, "event_id", ERR_INVALID_REQUEST},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct publication *publication = NULL;
        struct error error;
        if (read(bad[i].texts, &publication, &error) != bad[i].code || !strstr(error.text, bad[i].says))
            fail_msg("%zu: expected %s, found %s", i, bad[i].says, error.text);
        assert_null(publication);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_entries),
        cmocka_unit_test(test_bad_entries),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
