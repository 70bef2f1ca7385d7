/* test_path_pattern.c - paths of endpoints: which are good, what fits them, which of them collide. */
#include "common/protocol/path_pattern.h"
#include "tests/support/unit.h"

static void good_and_bad_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *says; /* NULL: good */
    } rows[] = {
        {"/", NULL},
        {"/ws", NULL},
        {"/chat/{id}/transcript", NULL},
        {"/{a}/{b_1}/{c-2}", NULL},
        {"/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}", NULL},
        {"", "begins with /"},
        {"ws", "begins with /"},
        {"/a b", "has no ?"},
        {"/a?b", "has no ?"},
        {"/a%20", "has no ?"},
        {"/\xc3\xa4", "has no ?"},
        {"/a-{id}", "a whole segment"},
        {"/{id}-a", "a whole segment"},
        {"/{id", "a whole segment"},
        {"/id}", "a whole segment"},
        {"/{", "a whole segment"},
        {"/{}", "letters, digits"},
        {"/{a.b}", "letters, digits"},
        {"/{{a}}", "letters, digits"},
        {"/{sub}", "are taken"},
        {"/{session_id}", "are taken"},
        {"/{a}/{a}", "twice"},
        {"/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", "at most 8"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = {0};
        enum err err = path_pattern_check(str_from_cstr(rows[i].pattern), &error);
        if (!rows[i].says != !err || (err && !strstr(error.text, rows[i].says)))
            fail_msg("%s: %s", rows[i].pattern, error.text);
    }
}

static void what_fits(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *path;
        const char *values; /* "name=value name=value"; NULL: it does not fit */
    } rows[] = {
        {"/ws", "/ws", ""},
        {"/ws", "/ws/", NULL},
        {"/ws", "/Ws", NULL},
        {"/", "/", ""},
        {"/", "", NULL},
        {"/", "*", NULL},
        {"/{a}", "/", NULL},
        {"/{a}", "/x", "a=x"},
        {"/{a}", "/x/", NULL},
        {"/{a}/", "/x/", "a=x"},
        {"/c/{id}/t", "/c/42/t", "id=42"},
        {"/c/{id}/t", "/c//t", NULL},
        {"/c/{id}/t", "/c/42/u", NULL},
        {"/c/{id}/t", "/c/42", NULL},
        {"/c/{id}/t", "/c/4/2/t", NULL},
        {"/c/{id}/t", "/c/4%2F2/t", NULL},
        {"/c/{id}/t", "/c/4%2f2/t", NULL},
        {"/c/{id}/t", "/c/%7Bid%7D/t", "id={id}"},
        {"/c/{id}/t", "/c/a%3Ab%2A/t", "id=a:b*"},
        {"/c/{id}/t", "/c/a+b/t", "id=a+b"},
        {"/c/{id}/t", "/c/a%20b/t", NULL},
        {"/c/{id}/t", "/c/a%0D%0Ab/t", NULL},
        {"/c/{id}/t", "/c/a%7F/t", NULL},
        {"/c/{id}/t", "/c/a%C2%A0/t", NULL},
        {"/c/{id}/t", "/c/%C3%A4/t", "id=\xc3\xa4"},
        {"/c/{id}/t", "/c/%C3/t", NULL},
        {"/c/{id}/t", "/c/a%00/t", NULL},
        {"/c/{id}/t", "/c/a%2/t", NULL},
        {"/c/{id}/t", "/c/./t", NULL},
        {"/c/{id}/t", "/c/%2E%2e/t", NULL},
        {"/c/{id}/t", "/c/.../t", "id=..."},
        {"/w/{ws}/t/{id}", "/w/one/t/two", "ws=one id=two"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str pattern = str_from_cstr(rows[i].pattern), path = str_from_cstr(rows[i].path);
        if (path_pattern_fits(pattern, path) != (rows[i].values != NULL))
            fail_msg("%s and %s", rows[i].pattern, rows[i].path);
        if (!rows[i].values)
            continue;
        struct buf scratch = {0}, got = {0};
        struct path_value values[PATH_NAMES_MAX];
        size_t count = path_pattern_values(pattern, path, &scratch, values);
        for (size_t k = 0; k < count; k++)
            buf_appendf(&got, "%s%.*s=%.*s", k ? " " : "", STR_ARG(values[k].name), STR_ARG(values[k].value));
        assert_string_equal(buf_cstr(&got), rows[i].values);
        assert_int_equal(path_pattern_has_names(pattern), count > 0);
        buf_fini(&scratch);
        buf_fini(&got);
    }
}

/* A value may have as many bytes as a channel name. */
static void a_long_value(void **state)
{
    (void)state;
    char path[800];
    for (size_t len = 250; len < 260; len++) {
        path[0] = '/';
        for (size_t i = 0; i < len; i++)
            memcpy(path + 1 + 3 * i, "%61", 3);
        assert_int_equal(path_pattern_fits(STR("/{a}"), str_from(path, 1 + 3 * len)), len <= 255);
    }
}

static void which_collide(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool collide;
    } rows[] = {
        {"/{a}", "/{b}", true},       {"/{a}/x", "/y/{b}", true},         {"/{a}/x", "/{a}/y", false},
        {"/{a}", "/{a}/{b}", false},  {"/x/{a}", "/y/{a}", false},        {"/{a}/", "/{a}", false},
        {"/{a}/", "/{a}/{b}", false}, {"/{a}/..", "/x/{b}", false},       {"/ws", "/ws", true},
        {"/ws", "/{a}", true},        {"/{a}/b/{c}", "/{d}/{e}/f", true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str a = str_from_cstr(rows[i].a), b = str_from_cstr(rows[i].b);
        if (path_patterns_overlap(a, b) != rows[i].collide || path_patterns_overlap(b, a) != rows[i].collide)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_and_bad_patterns),
        cmocka_unit_test(what_fits),
        cmocka_unit_test(a_long_value),
        cmocka_unit_test(which_collide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
