/* test_random.c - random bytes and the ids made of them. */
#include <stdio.h>

#include "common/base/random.h"
#include "common/base/seeded.h"
#include "tests/support/unit.h"

static void test_uuid_v7(void **state)
{
    char before[UUID_LEN + 1] = "";
    for (uint64_t ms = 0x0123456789AB; ms < 0x0123456789AB + 1000; ms++) {
        char id[UUID_LEN + 1];
        uuid_v7(ms, id);
        assert_int_equal(strlen(id), UUID_LEN);
        for (int i = 0; i < UUID_LEN; i++) {
            bool dash = i == 8 || i == 13 || i == 18 || i == 23;
            assert_true(dash ? id[i] == '-' : strchr("0123456789abcdef", id[i]) != NULL);
        }
        assert_int_equal(id[14], '7');                 /* version */
        assert_non_null(strchr("89ab", id[19]));       /* variant */
        assert_true(memcmp(id, before, UUID_LEN) > 0); /* sorts by time */
        memcpy(before, id, sizeof before);
    }
    uuid_v7(0x0123456789AB, before);
    assert_memory_equal(before, "01234567-89ab-7", 15);
}

static void test_uuids_of_one_millisecond_differ(void **state)
{
    char ids[200][UUID_LEN + 1];
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        uuid_v7(1, ids[i]);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(ids[i], ids[j]);
    }
}

static void test_below(void **state)
{
    unsigned seen = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t value = random_below(10);
        assert_true(value < 10);
        seen |= 1u << value;
    }
    assert_int_equal(seen, 0x3FF);
    assert_int_equal(random_below(1), 0);
}

static void test_bytes(void **state)
{
    static const size_t lens[] = {1, 16, 127, 128, 129, 512, 5000};
    for (size_t i = 0; i < COUNT_OF(lens); i++) {
        unsigned char bytes[5002] = {0}, seen[5002] = {0};
        for (int round = 0; round < 64; round++) {
            random_bytes(bytes + 1, lens[i]);
            for (size_t at = 0; at < sizeof bytes; at++)
                seen[at] |= bytes[at];
        }
        for (size_t at = 1; at <= lens[i]; at++)
            assert_int_not_equal(seen[at], 0);
        assert_int_equal(seen[0] | seen[lens[i] + 1], 0); /* nothing written outside */
    }
}

/* All that a seed decides, as one text. jitter: as many numbers are drawn in between. */
static void draw_all(char out[512], int jitter)
{
    char id[UUID_LEN + 1], epoch[EPOCH_NEW_LEN + 1];
    unsigned char bytes[3];
    size_t len = 0;
    for (int i = 0; i < 4; i++) {
        uuid_v7(7, id);
        epoch_new(epoch);
        random_bytes(bytes, sizeof bytes);
        for (int j = 0; j < jitter; j++)
            random_below(1000);
        len += (size_t)snprintf(out + len, 512 - len, "%s %s %02x%02x%02x\n", id, epoch, bytes[0], bytes[1], bytes[2]);
    }
}

static void test_a_seed_repeats(void **state)
{
    (void)state;
    char first[512], again[512], other[512];
    seeded_use(1);
    draw_all(first, 0);
    uint64_t below = random_below(UINT64_MAX);
    seeded_rewind(1);
    draw_all(again, 0);
    assert_string_equal(again, first);
    assert_true(random_below(UINT64_MAX) == below);
    seeded_rewind(1);
    draw_all(again, 3); /* jitter does not change ids */
    assert_string_equal(again, first);
    seeded_rewind(2);
    draw_all(other, 0);
    assert_string_not_equal(other, first);
    random_use(NULL);
    draw_all(again, 0);
    draw_all(other, 0);
    assert_string_not_equal(again, other);
}

static void test_seeded_numbers_are_spread(void **state)
{
    (void)state;
    unsigned counts[16] = {0};
    seeded_use(0);
    for (int i = 0; i < 16000; i++)
        counts[random_below(16)]++;
    random_use(NULL);
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        assert_in_range(counts[i], 850, 1150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uuid_v7),
        cmocka_unit_test(test_a_seed_repeats),
        cmocka_unit_test(test_seeded_numbers_are_spread),
        cmocka_unit_test(test_uuids_of_one_millisecond_differ),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
