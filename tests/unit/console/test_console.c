/* test_console.c - the files of the console: how large they are, and that nothing in them can make markup of a text. */
#include "server/console/console.h"
#include "tests/support/unit.h"

enum { MOST = 60000 };

static const char *const paths[] = {"/", "/console.css", "/console.js", "/console.svg"};
enum { PATHS = sizeof paths / sizeof *paths };

static bool has(struct str text, const char *word)
{
    return memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

static void all_of_it_is_small(void **state)
{
    (void)state;
    size_t bytes = 0;
    for (size_t i = 0; i < PATHS; i++)
        bytes += console_find(str_from_cstr(paths[i]))->text.len;
    assert_in_range(bytes, 1, MOST);
}

static void there_is_nothing_else(void **state)
{
    (void)state;
    assert_null(console_find(STR("/console")));
    assert_null(console_find(STR("/console.js/")));
    assert_null(console_find(STR("")));
    assert_null(console_find(STR("/dev/v1/journal")));
}

static void the_inspector_asks_for_a_key(void **state)
{
    (void)state;
    assert_true(has(console_find_of_inspector(STR("/"), false)->text, "type=\"password\""));
    assert_false(has(console_find_of_inspector(STR("/"), true)->text, "type=\"password\""));
    assert_null(console_find_of_inspector(STR("/console.js"), false));
    assert_false(has(console_find_of_inspector(STR("/console.js"), true)->text, "\"POST\""));
    assert_false(has(console_find_of_inspector(STR("/console.js"), true)->text, "/dev/v1"));
}

static void texts_stay_texts(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "createContextual", "DOMParser",
        "srcdoc",    "eval(",     "new Function",       "javascript:",    "setHTML"};
    struct str script = console_find(STR("/console.js"))->text;
    struct str other = console_find_of_inspector(STR("/console.js"), true)->text;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(has(script, bad[i]) || has(other, bad[i]));
}

/* The policy of the page refuses them anyway. */
static void nothing_comes_from_elsewhere_or_stands_in_the_page(void **state)
{
    (void)state;
    static const char *const bad[] = {"http:", "https:", "<style", " style=", " onclick=", " onload=", "//cdn"};
    struct str page = console_find(STR("/"))->text, style = console_find(STR("/console.css"))->text;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(has(page, bad[i]));
    assert_false(has(style, "url(") || has(style, "@import"));
    assert_true(has(page, "<script type=\"module\" src=\"/console.js\"></script>"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_is_small),
        cmocka_unit_test(there_is_nothing_else),
        cmocka_unit_test(the_inspector_asks_for_a_key),
        cmocka_unit_test(texts_stay_texts),
        cmocka_unit_test(nothing_comes_from_elsewhere_or_stands_in_the_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
