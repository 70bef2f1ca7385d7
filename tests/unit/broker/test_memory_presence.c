/* test_memory_presence.c - pages of the users on a channel, against a plain array of those who should be there. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "server/broker/memory/memory_presence.h"
#include "tests/support/unit.h"

enum { USERS = 500 };

static const struct presence_policy policy = {.kept = true};
static bool here[USERS];

static struct str name_user(int i, char name[16])
{
    return str_from(name, (size_t)snprintf(name, 16, "user-%03d", i));
}

static void set(struct memory_presence *presence, int i, bool is_here)
{
    char name[16], entry[32];
    struct presence_update *update = presence_update_create(1);
    struct str user = name_user(i, name);
    int len = snprintf(entry, sizeof entry, "{\"user\":\"%s\"}", name);
    update->policy = policy;
    update->base.channel = STR("c");
    update->connections = 1;
    update->count = 1;
    update->items[0] = (struct presence_item){.here = is_here, .user = user, .entry = str_from(entry, (size_t)len)};
    memory_presence_update(presence, NULL, update, 0);
    request_destroy(&update->base);
    here[i] = is_here;
}

static size_t count_here(void)
{
    size_t count = 0;
    for (int i = 0; i < USERS; i++)
        count += here[i];
    return count;
}

/* The page after the user of that number (-1: from the first), as who is here says it; what it says is next. */
static int expect_page(struct memory_presence *presence, int after, uint64_t limit)
{
    char name[16];
    struct buf members = {0};
    struct presence_read *read =
        presence_read_create(&policy, STR("c"), after < 0 ? STR("") : name_user(after, name), limit, STR(""));
    memory_presence_read(presence, read);
    uint64_t shown = 0;
    int last = -1, i = after + 1;
    for (; i < USERS && shown < limit; i++) {
        if (!here[i])
            continue;
        buf_appendf(&members, "%s{\"user\":\"user-%03d\"}", shown++ ? "," : "", i);
        last = i;
    }
    while (i < USERS && !here[i])
        i++;
    assert_true(str_eq(buf_str(&read->members), buf_str(&members)));
    assert_int_equal(read->users, count_here());
    assert_true(i < USERS ? str_eq(buf_str(&read->next), name_user(last, name)) : read->next.len == 0);
    request_destroy(&read->base);
    buf_fini(&members);
    return i < USERS ? last : -1;
}

static void test_pages_while_users_come_and_go(void **state)
{
    struct memory_presence presence = {0};
    unsigned seed = 1;
    (void)state;
    for (int i = 0; i < USERS; i++)
        set(&presence, (i * 7) % USERS, true);
    for (int round = 0; round < 20; round++) {
        int after = -1;
        do {
            after = expect_page(&presence, after, round == 0 ? 1 : (uint64_t)round * 3);
            for (int i = 0; i < 5; i++) { /* between two pages; the one the next page goes on after may be among them */
                seed = seed * 1664525 + 1013904223;
                int user = i == 0 && after >= 0 ? after : (int)(seed >> 8) % USERS;
                set(&presence, user, (seed >> 30) != 0);
            }
        } while (after >= 0);
    }
    for (int i = 0; i < USERS; i++)
        set(&presence, i, false);
    assert_int_equal(presence.channels.count, 0);
    memory_presence_fini(&presence);
}

static void test_a_page_has_a_bound_in_bytes_and_one_entry_at_least(void **state)
{
    struct memory_presence presence = {0};
    struct presence_update *update = presence_update_create(2);
    char *entry = xmalloc(PRESENCE_PAGE_BYTES + 2);
    (void)state;
    memset(entry, '7', PRESENCE_PAGE_BYTES + 2);
    update->policy = policy;
    update->base.channel = STR("c");
    update->count = 2;
    update->items[0] =
        (struct presence_item){.here = true, .user = STR("a"), .entry = str_from(entry, PRESENCE_PAGE_BYTES + 2)};
    update->items[1] = (struct presence_item){.here = true, .user = STR("b"), .entry = str_from(entry, 10)};
    memory_presence_update(&presence, NULL, update, 0);
    struct presence_read *read = presence_read_create(&policy, STR("c"), STR(""), 10, STR(""));
    memory_presence_read(&presence, read);
    assert_int_equal(read->members.len, PRESENCE_PAGE_BYTES + 2);
    assert_true(str_eq(buf_str(&read->next), STR("a")));
    request_destroy(&read->base);
    memory_presence_fini(&presence);
    free(entry);
    request_destroy(&update->base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_while_users_come_and_go),
        cmocka_unit_test(test_a_page_has_a_bound_in_bytes_and_one_entry_at_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
