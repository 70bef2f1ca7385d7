/* test_journal.c - the order of its lines, its bounds, and how a line is printed. */
#include "server/dev/journal.h"
#include "tests/support/unit.h"

static struct journal journal;

static int set_up(void **state)
{
    (void)state;
    journal_init(&journal);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    journal_fini(&journal);
    return 0;
}

static void add(struct str frame)
{
    journal_add(&journal, 0, &(struct journal_note){.kind = JOURNAL_RECEIVED, .frame = frame});
}

/* The number of the line after n; 0: there is none. */
static uint64_t number_after(uint64_t n)
{
    struct journal_line line;
    return journal_after(&journal, n, &line) ? line.n : 0;
}

static void test_order(void **state)
{
    (void)state;
    assert_int_equal(number_after(0), 0);
    for (int i = 0; i < 3; i++)
        add(STR("1"));
    assert_int_equal(number_after(0), 1);
    assert_int_equal(number_after(2), 3);
    assert_int_equal(number_after(3), 0);
    assert_int_equal(number_after(99), 0);
    journal_empty(&journal);
    assert_int_equal(number_after(0), 0);
    add(STR("1"));
    assert_int_equal(number_after(0), 4);
    journal_rewind(&journal);
    add(STR("1"));
    assert_int_equal(number_after(0), 1);
}

static void test_bounds(void **state)
{
    static char large[1024 * 1024];
    (void)state;
    for (int i = 0; i < JOURNAL_LINES + 5; i++)
        add(STR(""));
    assert_int_equal(journal.count, JOURNAL_LINES);
    assert_int_equal(number_after(0), 6);
    for (int i = 0; i < 100; i++)
        add(str_from(large, sizeof large));
    assert_true(journal.bytes <= JOURNAL_BYTES);
    struct journal_line newest;
    assert_true(journal_after(&journal, journal.last - 1, &newest));
    assert_int_equal(newest.note.frame.len, sizeof large);
    journal_empty(&journal);
    assert_int_equal(journal.bytes, 0);
}

struct ear {
    struct journal_listener listener;
    uint64_t heard;
};

static void hear_once(struct journal_listener *listener, const struct journal_line *line)
{
    CONTAINER_OF(listener, struct ear, listener)->heard += line->n;
    list_remove(&listener->link);
}

static void test_listeners(void **state)
{
    struct ear first = {.listener.hear = hear_once}, second = {.listener.hear = hear_once};
    (void)state;
    journal_listen(&journal, &first.listener);
    journal_listen(&journal, &second.listener);
    add(STR("1"));
    add(STR("1"));
    assert_int_equal(first.heard, 1);
    assert_int_equal(second.heard, 1);
}

static void assert_prints(const struct journal_note *note, const char *expected)
{
    struct buf out = {0};
    struct journal_line line;
    journal_rewind(&journal);
    journal_add(&journal, 1768473000000, note);
    assert_true(journal_after(&journal, 0, &line));
    journal_print(&out, &line);
    assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
}

static void test_print(void **state)
{
    (void)state;
    assert_prints(
        &(struct journal_note){.kind = JOURNAL_DELIVERED,
                               .session = STR("s-1"),
                               .user = STR("ada \"x\""),
                               .channel = STR("room:1"),
                               .frame = STR("{\"a\": 1}")},
        "{\"n\":1,\"at\":\"2026-01-15T10:30:00.000Z\",\"dir\":\"out\",\"kind\":\"delivered\",\"session\":\"s-1\","
        "\"user\":\"ada \\\"x\\\"\",\"channel\":\"room:1\",\"frame\":{\"a\": 1}}");
    assert_prints(
        &(struct journal_note){.kind = JOURNAL_RECEIVED, .frame = STR("hello <b>")},
        "{\"n\":1,\"at\":\"2026-01-15T10:30:00.000Z\",\"dir\":\"in\",\"kind\":\"received\",\"frame\":\"hello <b>\"}");
    assert_prints(
        &(struct journal_note){.kind = JOURNAL_SENT, .frame = STR("ab"), .binary = true, .rule = STR("r1")},
        "{\"n\":1,\"at\":\"2026-01-15T10:30:00.000Z\",\"dir\":\"out\",\"kind\":\"sent\",\"rule\":\"r1\",\"bytes\":2}");
    assert_prints(&(struct journal_note){.kind = JOURNAL_CLOSED, .code = 1006, .text = STR("slow_consumer")},
                  "{\"n\":1,\"at\":\"2026-01-15T10:30:00.000Z\",\"dir\":\"sys\",\"kind\":\"closed\",\"code\":1006,"
                  "\"text\":\"slow_consumer\"}");
}

static void test_kinds(void **state)
{
    (void)state;
    for (int kind = 0; kind < JOURNAL_KINDS; kind++)
        assert_int_equal(journal_kind_of(str_from_cstr(journal_kind_text((enum journal_kind)kind))), kind);
    assert_int_equal(journal_kind_of(STR("nothing")), JOURNAL_KINDS);
}

static void hear_kept(struct journal_listener *listener, const struct journal_line *line)
{
    struct ear *ear = CONTAINER_OF(listener, struct ear, listener);
    ear->heard += line ? 1 : 100;
}

static void test_muted(void **state)
{
    struct ear ear = {.listener.hear = hear_kept};
    (void)state;
    assert_false(journal_is_heard(&journal));
    journal_mute(&journal);
    journal_listen(&journal, &ear.listener);
    assert_true(journal_is_heard(&journal));
    add(STR("1"));
    assert_int_equal(ear.heard, 100);
    assert_int_equal(number_after(0), 0);
    journal_rewind(&journal);
    add(STR("1"));
    assert_int_equal(ear.heard, 101);
    assert_int_equal(number_after(0), 1);
    list_remove(&ear.listener.link);
}

/* Whom the line tells of, and what. */
static void expect_line(uint64_t n, const char *session, const char *user, const char *frame)
{
    struct journal_line line;
    assert_true(journal_after(&journal, n - 1, &line));
    assert_int_equal(line.n, n);
    assert_str(line.note.session, session);
    assert_str(line.note.user, user);
    assert_str(line.note.frame, frame);
}

static void test_lines_share_what_they_tell(void **state)
{
    static char text[200000];
    struct journal_party *ada = journal_party_create(STR("s-1"), STR("ada"));
    struct journal_party *bob = journal_party_create(STR("s-2"), STR("bob"));
    (void)state;
    memset(text, 'x', sizeof text - 1);
    struct journal_body *body = journal_body_create(
        &(struct journal_note){.kind = JOURNAL_SENT, .channel = STR("c"), .frame = str_from_cstr(text)});
    for (int i = 0; i < JOURNAL_LINES; i++) /* a copy for each would be too much for it */
        journal_add_of(&journal, 0, i % 2 ? bob : ada, body);
    assert_int_equal(journal.count, JOURNAL_LINES);
    assert_true(journal.bytes < 2 * sizeof text);
    journal_body_unref(body);
    expect_line(1, "s-1", "ada", text);
    expect_line(2, "s-2", "bob", text);
    journal_party_end(&journal, ada); /* the lines are still there */
    expect_line(JOURNAL_LINES - 1, "s-1", "ada", text);
    for (int i = 0; i < JOURNAL_LINES - 1; i++)
        add(STR("y"));
    expect_line(JOURNAL_LINES, "s-2", "bob", text);
    assert_false(list_is_empty(&journal.ended));
    assert_true(journal.bytes > sizeof text);
    add(STR("y"));
    assert_true(list_is_empty(&journal.ended)); /* all lines from before its end have gone */
    assert_true(journal.bytes < JOURNAL_LINES * (sizeof(struct journal_body) + 1) + 1);
    journal_party_end(&journal, bob);
    assert_false(list_is_empty(&journal.ended));
    journal_empty(&journal);
    assert_true(list_is_empty(&journal.ended));
    assert_int_equal(journal.bytes, 0);
    journal_party_end(&journal, journal_party_create(STR("s-3"), STR("eve"))); /* it had no line */
    assert_true(list_is_empty(&journal.ended));
}

/* A party may end after a rewind: the numbers begin again. */
static void test_a_party_that_ends_after_a_rewind(void **state)
{
    struct journal_party *ada = journal_party_create(STR("s-1"), STR("ada"));
    (void)state;
    for (int i = 0; i < 9; i++)
        add(STR("1"));
    journal_rewind(&journal);
    struct journal_body *body = journal_body_create(&(struct journal_note){.kind = JOURNAL_SENT, .frame = STR("z")});
    journal_add_of(&journal, 0, ada, body);
    journal_body_unref(body);
    journal_party_end(&journal, ada);
    expect_line(1, "s-1", "ada", "z");
    journal_rewind(&journal);
    assert_true(list_is_empty(&journal.ended));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lines_share_what_they_tell, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_party_that_ends_after_a_rewind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_listeners, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_muted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_print, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kinds, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
