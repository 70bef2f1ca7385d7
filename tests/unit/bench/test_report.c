/* test_report.c - no number that was not measured; the JSON is JSON; an event's data has the size that was asked for.
 */
#include "common/json/json.h"
#include "server/cli/bench/report.h"
#include "tests/support/unit.h"

static const struct scenario *scenario_named(const char *name)
{
    for (const struct scenario *scenario = scenarios; scenario->name; scenario++)
        if (strcmp(scenario->name, name) == 0)
            return scenario;
    fail_msg("there is no scenario %s", name);
    return NULL;
}

static struct json_value member(const struct buf *json, struct str name)
{
    struct json_value value;
    assert_int_equal(json_check(str_trim(buf_str(json)), NULL, &value, NULL), ERR_NONE);
    return json_member(value, name);
}

static void fill(struct run *run)
{
    run->result.operations = 2000;
    run->result.elapsed_us = 500000;
    histogram_record(&run->result.latency, 100);
}

static void test_without_a_server_pid(void **state)
{
    static const struct run_settings settings = {.connections = 10, .window = 1, .batch = 1, .data_bytes = 128};
    static struct run run = {.settings = &settings};
    struct buf out = {0};
    fill(&run);
    report_json(&out, scenario_named("fanout"), &run);
    assert_str(member(&out, STR("per_second")).raw, "4000");
    assert_str(member(&out, STR("server_cpu_us_each")).raw, "null");
    assert_str(member(&out, STR("server_cpu_percent")).raw, "null");
    assert_str(member(&out, STR("server_rss_bytes")).raw, "null");
    assert_str(member(&out, STR("server_rss_growth_bytes")).raw, "null");
    assert_str(json_member(member(&out, STR("latency_us")), STR("p99")).raw, "100");
    buf_fini(&out);
}

static void test_with_a_server_pid(void **state)
{
    static const struct run_settings settings = {.connections = 10, .window = 1, .batch = 1, .data_bytes = 128};
    static struct run run = {.settings = &settings};
    struct buf out = {0};
    fill(&run);
    run.result.has_server = true;
    run.result.server_cpu_ns = 250 * 1000 * 1000;
    run.result.has_growth = true;
    run.result.rss_growth_bytes = -4096;
    report_json(&out, scenario_named("echo"), &run);
    assert_str(member(&out, STR("server_cpu_us_each")).raw, "125");
    assert_str(member(&out, STR("server_cpu_percent")).raw, "50");
    assert_str(member(&out, STR("server_rss_growth_bytes")).raw, "-4096");
    buf_fini(&out);
}

static void test_nothing_done(void **state)
{
    static const struct run_settings settings = {.connections = 10};
    static struct run run = {.settings = &settings, .result = {.has_server = true}};
    struct buf out = {0};
    report_json(&out, scenario_named("publish"), &run);
    assert_str(member(&out, STR("server_cpu_us_each")).raw, "null");
    assert_str(member(&out, STR("latency_us")).raw, "null");
    buf_fini(&out);
}

static void test_what_is_not_clean(void **state)
{
    static struct run run;
    assert_true(report_is_clean(&run));
    run.result.lost = 1;
    assert_false(report_is_clean(&run));
    run.result = (struct run_result){.duplicated = 1};
    assert_false(report_is_clean(&run));
    run.result = (struct run_result){.misordered = 1};
    assert_false(report_is_clean(&run));
}

static void test_data_has_its_size(void **state)
{
    static const uint32_t numbers[] = {0, 9, 123456, UINT32_MAX};
    static const size_t sizes[] = {RUN_DATA_MIN, 128, 4096};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        for (size_t k = 0; k < COUNT_OF(sizes); k++) {
            struct buf out = {0};
            uint64_t number;
            run_append_data(&out, numbers[i], sizes[k]);
            assert_int_equal(out.len, sizes[k]);
            assert_true(json_u64(member(&out, STR("n")), &number));
            assert_int_equal(number, numbers[i]);
            buf_fini(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_server_pid), cmocka_unit_test(test_with_a_server_pid),
        cmocka_unit_test(test_nothing_done),         cmocka_unit_test(test_what_is_not_clean),
        cmocka_unit_test(test_data_has_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
