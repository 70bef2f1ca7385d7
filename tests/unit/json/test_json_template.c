/* test_json_template.c - what is filled in stays in its place, whatever it is. */
#include "common/json/json_template.h"
#include "tests/support/unit.h"

static const char *const names[] = {"code", "id"};

static struct json_template *make(const char *text)
{
    struct json_template *template;
    struct error error;
    if (json_template_create(str_from_cstr(text), names, COUNT_OF(names), &template, &error))
        fail_msg("%s: %s", text, error.text);
    return template;
}

/* code is a text, id is JSON. */
static void assert_written(const char *text, const char *code, const char *id, const char *expected)
{
    struct json_template *template = make(text);
    const struct json_filling fillings[] = {{str_from_cstr(code), false}, {str_from_cstr(id), true}};
    struct buf out = {0};
    struct json_value value;
    json_template_write(template, fillings, &out);
    assert_string_equal(buf_cstr(&out), expected);
    assert_int_equal(json_check(buf_str(&out), NULL, &value, NULL), ERR_NONE);
    buf_fini(&out);
    json_template_free(template);
}

static void test_places(void **state)
{
    (void)state;
    assert_written("{ \"a\" : [ 1 , \"{code}\" , true ] ,\n \"id\":\"{id}\" }", "x", "17",
                   "{\"a\":[1,\"x\",true],\"id\":17}");
    assert_written("\"{code}\"", "a\"b\n", "", "\"a\\\"b\\n\"");
    assert_written("\"<{code}|{code}>\"", "a\"b", "", "\"<a\\\"b|a\\\"b>\"");
    assert_written("\"{id}\"", "", "\"a\\u0041\"", "\"a\\u0041\"");
    assert_written("\"re: {id}\"", "", "\"a\\\"b\"", "\"re: a\\\"b\"");
    assert_written("\"re: {id}\"", "", "-1.5e3", "\"re: -1.5e3\"");
    assert_written("\"re: {id}\"", "", "{\"a\":\"b\"}", "\"re: {\\\"a\\\":\\\"b\\\"}\"");
    assert_written("\"{id}{id}\"", "", "\"\"", "\"\"");
    assert_written("[\"{id}\",\"re: {id}.\"]", "", "", "[null,\"re: .\"]");
    assert_written("{}", "", "", "{}");
}

/* What is no place stays as it is written. */
static void test_other_braces(void **state)
{
    (void)state;
    assert_written("\"{\"", "x", "", "\"{\"");
    assert_written("\"{}{ code }{Code}{code\"", "x", "", "\"{}{ code }{Code}{code\"");
    assert_written("\"{{code}}\"", "x", "", "\"{x}\"");
    assert_written("\"\\u007bcode}\"", "x", "", "\"\\u007bcode}\"");
    assert_written("\"\\\\{code}\"", "x", "", "\"\\\\x\"");
    assert_written("{\"{code}\":\"{code}\"}", "x", "", "{\"{code}\":\"x\"}");
    assert_written("\"{code}\"", "{id}", "1", "\"{id}\"");
}

static void test_bad_templates(void **state)
{
    struct json_template *template;
    struct error error;
    (void)state;
    assert_int_equal(json_template_create(STR("{"), names, 2, &template, &error), ERR_INVALID_REQUEST);
    assert_null(template);
    assert_int_equal(json_template_create(STR("[{\"a\":\"the {cause}\"}]"), names, 2, &template, &error),
                     ERR_INVALID_REQUEST);
    assert_null(template);
    assert_string_equal(error.text, "{cause} is not known here; known: {code}, {id}. For the text itself write \\u007b "
                                    "in the place of {");
}

static void test_has(void **state)
{
    (void)state;
    struct json_template *template = make("[\"code\",\"{id}\"]");
    assert_false(json_template_has(template, 0));
    assert_true(json_template_has(template, 1));
    json_template_free(template);
    json_template_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_other_braces),
        cmocka_unit_test(test_bad_templates),
        cmocka_unit_test(test_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
