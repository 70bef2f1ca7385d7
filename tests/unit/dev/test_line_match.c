/* test_line_match.c - expectations and the lines that they get: as many as any other assignment would give them. */
#include "server/dev/line_match.h"
#include "tests/support/unit.h"

enum { SIDE = 6 };

/* The most expectations from `at` on that can have a line of their own, by trying everything. */
static size_t best(const unsigned *allowed, size_t at, unsigned taken)
{
    if (at == SIDE)
        return 0;
    size_t most = best(allowed, at + 1, taken);
    for (unsigned line = 0; line < SIDE; line++) {
        if (!(allowed[at] >> line & 1) || taken >> line & 1)
            continue;
        size_t with = 1 + best(allowed, at + 1, taken | 1u << line);
        most = with > most ? with : most;
    }
    return most;
}

static bool is_allowed(void *owner, size_t expectation, size_t line)
{
    const unsigned *allowed = owner;
    return allowed[expectation] >> line & 1;
}

static void check_one(unsigned *allowed)
{
    struct line_match match;
    size_t found = 0;
    line_match_init(&match, SIDE, SIDE, is_allowed, allowed);
    for (size_t i = 0; i < SIDE; i++)
        found += line_match_find(&match, i);
    assert_int_equal(found, best(allowed, 0, 0));
    for (size_t i = 0; i < SIDE; i++) {
        size_t line = match.line_of[i];
        if (line != LINE_MATCH_NONE)
            assert_true(match.taken_by[line] == i && allowed[i] >> line & 1);
    }
    line_match_fini(&match);
}

static void it_finds_as_many_as_there_are(void **state)
{
    (void)state;
    uint32_t drawn = 1;
    for (int round = 0; round < 2000; round++) {
        unsigned allowed[SIDE];
        for (size_t i = 0; i < SIDE; i++) {
            drawn = drawn * 1664525 + 1013904223;
            allowed[i] = drawn >> 8 & drawn >> 17 & 0x3f;
        }
        check_one(allowed);
    }
}

enum { COUNT = 1000 };

/* Its own line and the next one; of the last one its own and the first. */
static bool is_near(void *owner, size_t expectation, size_t line)
{
    (*(size_t *)owner)++;
    return line == expectation || line == (expectation + 1) % COUNT;
}

static void the_last_one_moves_all_before_it(void **state)
{
    (void)state;
    size_t asked = 0;
    struct line_match match;
    line_match_init(&match, COUNT, COUNT, is_near, &asked);
    line_match_take(&match, COUNT - 1, 0);
    for (size_t i = 0; i < COUNT - 1; i++)
        assert_true(line_match_find(&match, i));
    assert_true(asked <= COUNT * COUNT);
    asked = 0;
    assert_int_equal(line_match_next(&match, 5, 0), 5);
    assert_int_equal(line_match_next(&match, 5, 6), 6);
    assert_int_equal(line_match_next(&match, 5, 7), LINE_MATCH_NONE);
    assert_int_equal(line_match_next(&match, COUNT - 1, 1), COUNT - 1);
    line_match_fini(&match);
}

/* Each line is taken by the expectation of the same number. Another one, which allows the first line alone, moves all.
 */
static bool is_chain(void *owner, size_t expectation, size_t line)
{
    (void)owner;
    return expectation == COUNT - 1 ? line == 0 : line == expectation || line == expectation + 1;
}

static void a_chain_moves(void **state)
{
    struct line_match match;
    (void)state;
    line_match_init(&match, COUNT, COUNT, is_chain, NULL);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(line_match_find(&match, i));
    for (size_t i = 0; i < COUNT - 1; i++)
        assert_int_equal(match.line_of[i], i + 1);
    line_match_fini(&match);
}

static void nothing_at_all(void **state)
{
    (void)state;
    struct line_match match;
    line_match_init(&match, 1, 0, is_chain, NULL);
    assert_false(line_match_find(&match, 0));
    line_match_fini(&match);
    line_match_init(&match, 0, 64, is_chain, NULL);
    line_match_fini(&match);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_as_many_as_there_are),
        cmocka_unit_test(the_last_one_moves_all_before_it),
        cmocka_unit_test(a_chain_moves),
        cmocka_unit_test(nothing_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
