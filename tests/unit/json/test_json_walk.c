/* test_json_walk.c - walking, finding and binding members. */
#include "common/json/json.h"
#include "tests/support/unit.h"

static struct json_value parse(const char *text)
{
    struct json_value value = {0};
    assert_int_equal(json_check(str_from_cstr(text), NULL, &value, NULL), ERR_NONE);
    return value;
}

/* Each item as "key=raw;". */
static void assert_walk(const char *text, const char *expected)
{
    struct buf seen = {0};
    struct str key;
    struct json_value item;
    struct json_cursor cursor = json_walk(parse(text));
    while (json_next(&cursor, &key, &item)) {
        buf_append(&seen, key);
        buf_append_char(&seen, '=');
        buf_append(&seen, item.raw);
        buf_append_char(&seen, ';');
    }
    assert_string_equal(buf_cstr(&seen), expected);
    buf_fini(&seen);
}

static void test_walk(void **state)
{
    assert_walk("{}", "");
    assert_walk("[ ]", "");
    assert_walk("{\"a\":1}", "a=1;");
    assert_walk(" { \"a\" : 1 , \"b\" : \"x\" } ", "a=1;b=\"x\";");
    assert_walk("[1,-2.5e3 , true,null\n,\"s\"]", "=1;=-2.5e3;=true;=null;=\"s\";");
    assert_walk("{\"a\":{\"x\":[1,{\"y\":\"}]\"}]},\"b\":[[],{}],\"c\":0}",
                "a={\"x\":[1,{\"y\":\"}]\"}]};b=[[],{}];c=0;");
    assert_walk("{\"q\\\"k\":\"v\\\"}\\\\\",\"\":[\"\\\\\",\"]\"]}", "q\\\"k=\"v\\\"}\\\\\";=[\"\\\\\",\"]\"];");
    assert_walk("[[1,2],[3]]", "=[1,2];=[3];");
    assert_walk("{\"a,b:c\":\"d,e:f\"}", "a,b:c=\"d,e:f\";");
}

static void test_walk_gives_kinds(void **state)
{
    const enum json_type kinds[] = {JSON_NULL, JSON_BOOL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT};
    struct str key;
    struct json_value item;
    struct json_cursor cursor = json_walk(parse("[null,true,false,-1,\"\",[],{}]"));
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        assert_true(json_next(&cursor, &key, &item));
        assert_int_equal(item.type, kinds[i]);
        assert_int_equal(json_value_of(item.raw).type, kinds[i]);
    }
    assert_false(json_next(&cursor, &key, &item));
    assert_false(json_next(&cursor, &key, &item));
}

static void test_walk_of_what_is_no_container(void **state)
{
    struct str key;
    struct json_value item;
    struct json_cursor cursor = json_walk(parse("\"{}\""));
    assert_false(json_next(&cursor, &key, &item));
    cursor = json_walk((struct json_value){0});
    assert_false(json_next(&cursor, &key, &item));
}

static void test_member(void **state)
{
    struct json_value object = parse("{\"a\":1,\"b\":{\"c\":2},\"a\":3,\"ch\\u0061nnel\":4}");
    assert_str(json_member(object, STR("a")).raw, "1");
    assert_str(json_member(object, STR("channel")).raw, "4");
    assert_int_equal(json_member(object, STR("c")).type, 0);
    assert_int_equal(json_member(object, STR("A")).type, 0);
    assert_int_equal(json_member(parse("[1]"), STR("")).type, 0);
}

static void test_key_is(void **state)
{
    static const struct {
        const char *raw;
        const char *name;
        bool same;
    } cases[] = {
        {"channel", "channel", true},
        {"ch\\u0061nnel", "channel", true},
        {"\\u0063hannel", "channel", true},
        {"channe\\u006C", "channel", true},
        {"channel\\u0000", "channel", false},
        {"chann\\u0065", "channel", false},
        {"channels", "channel", false},
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
        {"a\\/b\\n", "a/b\n", true},
        {"\\ud83d\\ude00", "\xF0\x9F\x98\x80", true},
        {"caf\\u00e9", "caf\xC3\xA9", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(json_key_is(str_from_cstr(cases[i].raw), str_from_cstr(cases[i].name)), cases[i].same);
}

static const char *bind_error(const char *text, const char *where)
{
    static struct error error;
    struct json_value s = {0}, n = {0}, any = {0};
    const struct json_field fields[] = {
        {"channel", JSON_STRING, true, &s},
        {"limit", JSON_NUMBER | JSON_STRING | JSON_NULL, false, &n},
        {"data", JSON_ANY, false, &any},
    };
    enum err err = json_bind(parse(text), where, fields, 3, &error);
    if (!err)
        return "";
    assert_int_equal(err, ERR_INVALID_REQUEST);
    return error.text;
}

static void test_bind_errors(void **state)
{
    assert_string_equal(bind_error("{\"channel\":\"c\"}", "data"), "");
    assert_string_equal(bind_error("{\"channel\":5}", "data"), "data.channel: expected a string, found a number");
    assert_string_equal(bind_error("{\"channel\":5}", ""), "channel: expected a string, found a number");
    assert_string_equal(bind_error("{}", "data"), "data.channel: is missing");
    assert_string_equal(bind_error("{\"chan\":\"c\"}", ""), "channel: is missing");
    assert_string_equal(bind_error("{\"channel\":\"c\",\"channel\":\"d\"}", "data"), "data.channel: given twice");
    assert_string_equal(bind_error("{\"channel\":\"c\",\"ch\\u0061nnel\":\"d\"}", "data"), "data.channel: given twice");
    assert_string_equal(bind_error("{\"channel\":\"c\",\"other\":1,\"other\":2}", "data"), "");
    assert_string_equal(bind_error("{\"channel\":\"c\",\"limit\":true}", ""),
                        "limit: expected a string, a number or null, found a boolean");
    assert_string_equal(bind_error("{\"channel\":null}", "a.b"), "a.b.channel: expected a string, found null");
    assert_string_equal(bind_error("{\"channel\":{}}", "x"), "x.channel: expected a string, found an object");
    assert_string_equal(bind_error("{\"channel\":[]}", "x"), "x.channel: expected a string, found an array");
    assert_string_equal(bind_error("[]", "data"), "data: expected an object, found an array");
    assert_string_equal(bind_error("7", ""), "expected an object, found a number");
    for (const char *const *text = (const char *const[]){"null", "1", "\"x\"", "[]", "{}", "false", NULL}; *text;
         text++) {
        struct buf object = {0};
        buf_appendf(&object, "{\"channel\":\"c\",\"data\":%s}", *text);
        assert_string_equal(bind_error(buf_cstr(&object), ""), "");
        buf_fini(&object);
    }
}

static void test_null_for_absent(void **state)
{
    struct json_value s = {0}, n = {0}, any = {0};
    struct error error;
    const struct json_field fields[] = {
        {"s", JSON_STRING, false, &s}, {"n", JSON_NUMBER, false, &n}, {"any", JSON_ANY, true, &any}};
    assert_int_equal(json_bind_given(parse("{\"s\":null,\"n\":1,\"any\":null}"), "", fields, 3, NULL), ERR_NONE);
    assert_int_equal(s.type, 0);
    assert_str(n.raw, "1");
    assert_int_equal(any.type, JSON_NULL); /* required: null is its value */
    assert_int_equal(json_bind_given(parse("{\"s\":null,\"s\":\"x\",\"any\":1}"), "", fields, 3, &error),
                     ERR_INVALID_REQUEST);
    assert_string_equal(error.text, "s: given twice");
    assert_int_equal(json_bind(parse("{\"s\":null,\"any\":1}"), "", fields, 3, &error), ERR_INVALID_REQUEST);
    assert_string_equal(error.text, "s: expected a string, found null");
}

/* Counted by the validator for the whole, and by the walk for what is in it. */
static void test_depth(void **state)
{
    static const struct {
        const char *text;
        unsigned depth;
    } cases[] = {
        {"1", 0},          {"\"[[[\"", 0},         {"[]", 1},
        {"{}", 1},         {"[1,[2],[[3]],4]", 3}, {"{\"a\":{\"b\":[]},\"[[[[\":\"{{{{\"}", 3},
        {"[[],[],[]]", 2}, {"[\"\\\"[[\",{}]", 2}, {" [ [ ] ] ", 2},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf outer = {0};
        struct str key;
        struct json_value item;
        assert_int_equal(parse(cases[i].text).depth, cases[i].depth);
        buf_appendf(&outer, "{\"x\":[%s]}", cases[i].text);
        struct json_value whole = parse(buf_cstr(&outer));
        assert_int_equal(whole.depth, cases[i].depth + 2);
        struct json_cursor at = json_walk(json_member(whole, STR("x")));
        assert_true(json_next(&at, &key, &item));
        assert_int_equal(item.depth, cases[i].depth);
        buf_fini(&outer);
    }
}

static void test_bind_fills_what_is_there(void **state)
{
    struct json_value a = {0}, b = {.type = JSON_NUMBER, .raw = STR("7")};
    const struct json_field fields[] = {{"a", JSON_STRING, true, &a}, {"b", JSON_NUMBER, false, &b}};
    assert_int_equal(json_bind(parse("{\"x\":{\"b\":9},\"a\":\"t\"}"), "", fields, 2, NULL), ERR_NONE);
    assert_str(a.raw, "\"t\"");
    assert_str(b.raw, "7");
    assert_int_equal(json_bind((struct json_value){0}, "data", fields, 2, NULL), ERR_INVALID_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_walk_gives_kinds),
        cmocka_unit_test(test_walk_of_what_is_no_container),
        cmocka_unit_test(test_member),
        cmocka_unit_test(test_key_is),
        cmocka_unit_test(test_bind_errors),
        cmocka_unit_test(test_null_for_absent),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_bind_fills_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
