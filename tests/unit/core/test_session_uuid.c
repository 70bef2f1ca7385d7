/* test_session_uuid.c - a session's id is a UUID and names its node. */
#include "server/core/session_uuid.h"
#include "tests/support/unit.h"

enum { WALL_MS = 1768473000 };

static void test_names_its_node(void **state)
{
    char node[UUID_LEN + 1], other[UUID_LEN + 1], uuid[UUID_LEN + 1], next[UUID_LEN + 1];
    (void)state;
    uuid_v7(WALL_MS, node);
    uuid_v7(WALL_MS, other);
    session_uuid_make(WALL_MS, str_from_cstr(node), uuid);
    session_uuid_make(WALL_MS, str_from_cstr(node), next);
    assert_int_equal(strlen(uuid), UUID_LEN);
    assert_memory_equal(uuid, node, 13); /* the time */
    assert_int_equal(uuid[14], '7');
    assert_non_null(strchr("89ab", uuid[19]));
    assert_string_not_equal(uuid, next);
    assert_true(session_uuid_names(str_from_cstr(uuid), str_from_cstr(node)));
    other[UUID_LEN - 1] = uuid[UUID_LEN - 1] == '0' ? '1' : '0';
    assert_false(session_uuid_names(str_from_cstr(uuid), str_from_cstr(other)));
}

/* A node of the simulator, say. */
static void test_names_no_node(void **state)
{
    static const char *const nodes[] = {"", "node-1", "0198c0de-0000-7000-8000-0123456789ab1"};
    char uuid[UUID_LEN + 1];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        session_uuid_make(WALL_MS, str_from_cstr(nodes[i]), uuid);
        assert_int_equal(strlen(uuid), UUID_LEN);
        assert_int_equal(strspn(uuid, "0123456789abcdef-"), UUID_LEN);
        assert_false(session_uuid_names(str_from_cstr(uuid), str_from_cstr(nodes[i])));
        assert_false(session_uuid_names(str_from_cstr(nodes[i]), str_from_cstr(uuid)));
    }
    assert_false(session_uuid_names(STR(""), STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_its_node),
        cmocka_unit_test(test_names_no_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
