/* test_map.c - the hash table against a plain array that says what should be there. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/map.h"
#include "tests/support/unit.h"

enum { KEYS = 3000, STEPS = 200000 };

struct entry {
    char key[16];
    bool present;
    bool seen;
};

static struct entry entries[KEYS];

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void assert_same(const struct map *map, size_t count)
{
    assert_int_equal(map->count, count);
    for (int i = 0; i < KEYS; i++) {
        assert_ptr_equal(map_get(map, str_from_cstr(entries[i].key)), entries[i].present ? &entries[i] : NULL);
        entries[i].seen = false;
    }
    size_t cursor = 0, walked = 0;
    for (struct entry *entry; (entry = map_next(map, &cursor)); walked++) {
        assert_true(entry->present && !entry->seen);
        entry->seen = true;
    }
    assert_int_equal(walked, count);
}

static void test_against_a_model(void **state)
{
    struct map map = {0};
    uint32_t seed = 1;
    size_t count = 0;
    for (int i = 0; i < KEYS; i++)
        snprintf(entries[i].key, sizeof entries[i].key, "key-%d", i);
    for (int step = 0; step < STEPS; step++) {
        struct entry *entry = &entries[next_random(&seed) % KEYS];
        struct str key = str_from_cstr(entry->key);
        /* By turns mostly filling and mostly emptying, so that the table grows and shrinks. */
        bool put = next_random(&seed) % 4 != 0;
        if (step / 20000 % 2)
            put = !put;
        void *before = put ? map_put(&map, key, entry) : map_remove(&map, key);
        assert_ptr_equal(before, entry->present ? entry : NULL);
        count = count + (put && !entry->present) - (!put && entry->present);
        entry->present = put;
        if (step % 5000 == 0)
            assert_same(&map, count);
    }
    assert_same(&map, count);
    for (int i = 0; i < KEYS; i++)
        map_remove(&map, str_from_cstr(entries[i].key));
    assert_int_equal(map.count, 0);
    map_fini(&map);
}

static void test_put_replaces_value_and_key(void **state)
{
    struct map map = {0};
    int first, second;
    char key_of_first[] = "k", key_of_second[] = "k";
    assert_null(map_put(&map, str_from(key_of_first, 1), &first));
    assert_ptr_equal(map_put(&map, str_from(key_of_second, 1), &second), &first);
    key_of_first[0] = 'x'; /* the first value may go, and its key with it */
    assert_ptr_equal(map_get(&map, STR("k")), &second);
    assert_int_equal(map.count, 1);
    map_fini(&map);
}

static void test_keys_are_bytes(void **state)
{
    struct map map = {0};
    int empty, nul, two_nuls;
    map_put(&map, STR(""), &empty);
    map_put(&map, STR("\0"), &nul);
    map_put(&map, STR("\0\0"), &two_nuls);
    assert_ptr_equal(map_get(&map, STR("")), &empty);
    assert_ptr_equal(map_get(&map, STR("\0")), &nul);
    assert_ptr_equal(map_get(&map, STR("\0\0")), &two_nuls);
    assert_null(map_get(&map, STR("\0\0\0")));
    map_fini(&map);
}

static void test_empty(void **state)
{
    struct map map = {0};
    size_t cursor = 0;
    assert_null(map_get(&map, STR("a")));
    assert_null(map_remove(&map, STR("a")));
    assert_null(map_next(&map, &cursor));
    map_fini(&map);
}

static size_t longest_run(const struct map *map)
{
    size_t longest = 0, run = 0;
    for (size_t i = 0; i < 2 * map->cap; i++) { /* twice: a run may go on at the beginning */
        run = map->slots[i & (map->cap - 1)].value ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

/* Such a copy once had runs as long as half of the table, each walked for each entry. */
static void test_filled_from_a_walk_through_another(void **state)
{
    enum { COUNT = 75000 }; /* its table is then a little more than half full, which is worst */
    struct map map = {0}, copy = {0};
    char(*keys)[16] = calloc(COUNT, sizeof *keys);
    size_t cursor = 0, step = 0;
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(keys[i], sizeof keys[i], "key-%zu", i);
        map_put(&map, str_from_cstr(keys[i]), keys[i]);
    }
    for (char *key; (key = map_next(&map, &cursor));) {
        map_put(&copy, str_from_cstr(key), key);
        if (++step % 1000 == 0 && longest_run(&copy) > 1000)
            fail_msg("a run of %zu in a table of %zu with %zu entries", longest_run(&copy), copy.cap, copy.count);
    }
    assert_int_equal(copy.count, COUNT);
    map_fini(&map);
    map_fini(&copy);
    free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_put_replaces_value_and_key),
        cmocka_unit_test(test_keys_are_bytes),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_filled_from_a_walk_through_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
