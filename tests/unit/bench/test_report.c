/* test_report.c - the report has only measured numbers, and the JSON is JSON. */
#include "bench/load/report.h"
#include "common/base/alloc.h"
#include "common/json/json.h"
#include "tests/support/unit.h"

static const struct scenario *scenario_named(const char *name)
{
    for (const struct scenario *scenario = scenarios; scenario->name; scenario++)
        if (strcmp(scenario->name, name) == 0)
            return scenario;
    fail_msg("there is no scenario %s", name);
    return NULL;
}

static const struct run_settings usual = {
    .dialect = &dialect_carillon, .connections = 10, .channel_count = 1, .window = 1, .batch = 1, .data_bytes = 128};

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
    struct run_settings settings = usual;
    struct run *run = xcalloc(1, sizeof *run);
    struct buf out = {0};
    run->settings = &settings;
    fill(run);
    report_json(&out, scenario_named("fanout"), run);
    assert_str(member(&out, STR("per_second")).raw, "4000");
    assert_str(member(&out, STR("server_cpu_us_each")).raw, "null");
    assert_str(member(&out, STR("server_cpu_percent")).raw, "null");
    assert_str(member(&out, STR("server_rss_bytes")).raw, "null");
    assert_str(member(&out, STR("server_rss_growth_bytes")).raw, "null");
    assert_str(json_member(member(&out, STR("latency_us")), STR("p99")).raw, "100");
    assert_str(member(&out, STR("servers")).raw, "[]");
    assert_str(member(&out, STR("rate")).raw, "null");
    assert_str(member(&out, STR("first_latency_us")).raw, "null");
    free(run);
    buf_fini(&out);
}

static void test_with_server_pids(void **state)
{
    struct run_settings settings = usual;
    settings.server_count = 2;
    settings.servers[1] = 42;
    struct run *run = xcalloc(1, sizeof *run);
    struct buf out = {0};
    run->settings = &settings;
    fill(run);
    run->result.servers[0].cpu_ns = 200 * 1000 * 1000;
    run->result.servers[1].cpu_ns = 50 * 1000 * 1000;
    run->result.servers[1].peak_bytes = 8192;
    run->result.has_growth = true;
    run->result.servers[0].rss_growth_bytes = -8192;
    run->result.servers[1].rss_growth_bytes = 4096;
    report_json(&out, scenario_named("echo"), run);
    assert_str(member(&out, STR("server_cpu_us_each")).raw, "125");
    assert_str(member(&out, STR("server_cpu_percent")).raw, "50");
    assert_str(member(&out, STR("server_rss_growth_bytes")).raw, "-4096");
    assert_str(member(&out, STR("server_rss_peak_bytes")).raw, "8192");
    assert_str(member(&out, STR("servers")).raw,
               "[{\"pid\":0,\"cpu_us_each\":100,\"cpu_percent\":40,\"rss_bytes\":null,\"rss_growth_bytes\":-8192,"
               "\"rss_peak_bytes\":null},{\"pid\":42,\"cpu_us_each\":25,\"cpu_percent\":10,\"rss_bytes\":null,"
               "\"rss_growth_bytes\":4096,\"rss_peak_bytes\":8192}]");
    free(run);
    buf_fini(&out);
}

static void test_nothing_done(void **state)
{
    struct run_settings settings = usual;
    struct run *run = xcalloc(1, sizeof *run);
    struct buf out = {0};
    settings.server_count = 1;
    run->settings = &settings;
    report_json(&out, scenario_named("publish"), run);
    assert_str(member(&out, STR("server_cpu_us_each")).raw, "null");
    assert_str(member(&out, STR("latency_us")).raw, "null");
    free(run);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_server_pid),
        cmocka_unit_test(test_with_server_pids),
        cmocka_unit_test(test_nothing_done),
        cmocka_unit_test(test_what_is_not_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
