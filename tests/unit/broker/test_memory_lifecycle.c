/* test_memory_lifecycle.c - lifecycle events: their form, and how a node without Redis keeps them until they are sent.
 */
#include <stdio.h>

#include "common/json/json.h"
#include "server/broker/memory/memory_lifecycle.h"
#include "tests/support/unit.h"

static void writes_a_cloudevent(void **state)
{
    struct buf out = {0};
    struct json_value event;
    (void)state;
    const struct lifecycle_head head = {.type = LIFECYCLE_SESSION_CLOSED,
                                        .node = STR("n1"),
                                        .subject = STR("s1"),
                                        .id = STR("s1.2"),
                                        .sequence = 2,
                                        .wall_ms = UINT64_C(1768473000000)};
    lifecycle_write_json(&out, &head, STR("\"code\":1000"));
    assert_int_equal(json_check(buf_str(&out), NULL, &event, NULL), ERR_NONE);
    assert_string_equal(buf_cstr(&out), "{\"specversion\":\"1.0\",\"id\":\"s1.2\",\"source\":\"/nodes/n1\","
                                        "\"type\":\"carillon.session.closed\",\"subject\":\"s1\","
                                        "\"time\":\"2026-01-15T10:30:00.000Z\",\"sequence\":\"2\","
                                        "\"datacontenttype\":\"application/json\",\"data\":{\"code\":1000}}");
    assert_true(lifecycle_is_event(buf_str(&out)));
    assert_false(lifecycle_is_event(str_from(out.ptr, out.len - 1)));
    assert_false(lifecycle_is_event(str_skip(buf_str(&out), 1)));
    assert_false(lifecycle_is_event(STR("")));
    buf_fini(&out);
}

/* A user or a channel may have any text as its name. */
static void escapes_a_subject_that_is_no_session(void **state)
{
    struct buf out = {0};
    struct json_value event;
    (void)state;
    const struct lifecycle_head head = {.type = LIFECYCLE_PRESENCE_JOINED,
                                        .node = STR("n1"),
                                        .subject = STR("a\"b\\\n"),
                                        .id = STR("1"),
                                        .wall_ms = UINT64_C(1768473000000)};
    lifecycle_write_json(&out, &head, STR(""));
    assert_int_equal(json_check(buf_str(&out), NULL, &event, NULL), ERR_NONE);
    assert_non_null(
        strstr(buf_cstr(&out), "\"subject\":\"a\\\"b\\\\\\n\",\"time\":\"2026-01-15T10:30:00.000Z\",\"datac"));
    buf_fini(&out);
}

static void makes_the_id_of_subject_and_sequence(void **state)
{
    struct buf out = {0};
    (void)state;
    const struct lifecycle_head head = {
        .type = LIFECYCLE_SESSION_OPENED, .node = STR("n1"), .subject = STR("s1"), .sequence = 7, .wall_ms = 0};
    lifecycle_write_json(&out, &head, STR(""));
    assert_non_null(strstr(buf_cstr(&out), "\"id\":\"s1.7\""));
    buf_fini(&out);
}

static void write_within(struct memory_lifecycle *kept, uint64_t max_len, uint64_t max_bytes, const char *json)
{
    struct lifecycle_write *write = lifecycle_write_create(STR("events"));
    write->max_len = max_len;
    write->max_bytes = max_bytes;
    write->events[write->count++] =
        lifecycle_event_create(LIFECYCLE_SESSION_OPENED, LIFECYCLE_OPEN, STR("s"), str_from_cstr(json), STR("\"a\":1"));
    memory_lifecycle_write(kept, write);
    assert_true(write->known);
    request_destroy(&write->base);
}

static void write(struct memory_lifecycle *kept, uint64_t max_len, const char *json)
{
    write_within(kept, max_len, UINT64_MAX, json);
}

/* "1-2:a,b" are the events 1 and 2. done: the last one that is sent; "": nothing new. */
static void assert_read(struct memory_lifecycle *kept, const char *done, uint64_t limit, const char *expected)
{
    struct lifecycle_read *read = lifecycle_read_create(STR("events"));
    char found[100];
    read->limit = limit;
    snprintf(read->done, sizeof read->done, "%s", done);
    memory_lifecycle_read(kept, read);
    assert_true(read->is_reader);
    snprintf(found, sizeof found, "%llu-%s:%s", (unsigned long long)read->number, read->last, buf_cstr(&read->events));
    assert_string_equal(found, expected);
    request_destroy(&read->base);
}

static void keeps_events_until_they_are_sent(void **state)
{
    struct memory_lifecycle kept = {0};
    (void)state;
    memory_lifecycle_init(&kept);
    write(&kept, 10, "a");
    write(&kept, 10, ""); /* not told */
    write(&kept, 10, "b");
    write(&kept, 10, "c");
    assert_read(&kept, "", 2, "1-2:a,b");
    assert_read(&kept, "", 2, "1-2:a,b"); /* it was not accepted */
    assert_read(&kept, "2", 2, "3-3:c");
    assert_read(&kept, "3", 2, "0-:");
    assert_int_equal(kept.count, 0);
    memory_lifecycle_fini(&kept);
}

static void forgets_the_oldest(void **state)
{
    struct memory_lifecycle kept = {0};
    (void)state;
    memory_lifecycle_init(&kept);
    for (const char *at = "abcde"; *at; at++)
        write(&kept, 3, (const char[]){*at, '\0'});
    assert_int_equal(kept.count, 3);
    assert_read(&kept, "", 10, "3-5:c,d,e");
    memory_lifecycle_fini(&kept);
}

static void forgets_the_oldest_over_so_many_bytes(void **state)
{
    struct memory_lifecycle kept = {0};
    const uint64_t of_three = 3 * (sizeof(struct lifecycle_event) + 1);
    (void)state;
    memory_lifecycle_init(&kept);
    for (const char *at = "abcde"; *at; at++)
        write_within(&kept, 10, of_three, (const char[]){*at, '\0'});
    assert_read(&kept, "", 10, "3-5:c,d,e");
    write_within(&kept, 10, 1, "larger than all that may be kept");
    assert_int_equal(kept.count, 0);
    assert_int_equal(kept.bytes, 0);
    memory_lifecycle_fini(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_cloudevent),
        cmocka_unit_test(escapes_a_subject_that_is_no_session),
        cmocka_unit_test(makes_the_id_of_subject_and_sequence),
        cmocka_unit_test(keeps_events_until_they_are_sent),
        cmocka_unit_test(forgets_the_oldest),
        cmocka_unit_test(forgets_the_oldest_over_so_many_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
