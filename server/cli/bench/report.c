/* report.c - see report.h. */
#include "server/cli/bench/report.h"

#include <stdio.h>

enum { CELL = 32 };

static double per_second(const struct run_result *result)
{
    return result->elapsed_us ? (double)result->operations * 1e6 / (double)result->elapsed_us : 0;
}

static double cpu_us_each(const struct run_result *result)
{
    return result->operations ? (double)result->server_cpu_ns / 1e3 / (double)result->operations : 0;
}

/* Of one core. */
static double percent_busy(uint64_t cpu_ns, const struct run_result *result)
{
    return result->elapsed_us ? (double)cpu_ns / 10.0 / (double)result->elapsed_us : 0;
}

static double kib_each(const struct run *run)
{
    return (double)run->result.rss_growth_bytes / 1024 / (double)run->settings->connections;
}

bool report_is_clean(const struct run *run)
{
    return run->result.lost == 0 && run->result.duplicated == 0 && run->result.misordered == 0;
}

static void describe(const struct run *run, const struct scenario *scenario, char *out, size_t len)
{
    const struct run_settings *settings = run->settings;
    if (scenario->run == scenario_fanout)
        snprintf(out, len, "fanout %zu, window %zu/%zu, %zu B", settings->connections, settings->window,
                 settings->publishers, settings->data_bytes);
    else if (scenario->run == scenario_publish)
        snprintf(out, len, "publish %zu, batch %zu, %zu B", settings->connections, settings->batch,
                 settings->data_bytes);
    else if (scenario->run == scenario_connect)
        snprintf(out, len, "connect %zu, %zu at once", settings->connections, settings->at_once);
    else
        snprintf(out, len, "%s %zu", scenario->name, settings->connections);
}

static const char *cell(char out[CELL], bool measured, double value, int digits)
{
    if (measured)
        snprintf(out, CELL, "%.*f", digits, value);
    else
        snprintf(out, CELL, "-");
    return out;
}

static const char row_format[] = "%-32s %11s %10s %8s %7s %7s %8s %8s %8s %9s %6s %6s %6s\n";

void report_header(struct buf *out)
{
    buf_appendf(out, "%32s %11s %10s %8s %7s %7s %8s %8s %8s %9s %6s %6s %6s\n", "", "operations", "a second", "CPU us",
                "server", "client", "p50", "p99", "max", "RSS KiB", "", "", "wrong");
    buf_appendf(out, row_format, "scenario", "", "", "each", "CPU %", "CPU %", "us", "us", "us", "each conn", "lost",
                "double", "order");
}

void report_row(struct buf *out, const struct scenario *scenario, const struct run *run)
{
    const struct run_result *result = &run->result;
    const struct histogram *latency = &result->latency;
    char what[64], count[CELL], rate[CELL], cpu[CELL], busy[CELL], own[CELL], p50[CELL], p99[CELL], max[CELL];
    char kib[CELL], lost[CELL], doubled[CELL], order[CELL];
    bool any = latency->count > 0;
    describe(run, scenario, what, sizeof what);
    buf_appendf(out, row_format, what, cell(count, true, (double)result->operations, 0),
                cell(rate, true, per_second(result), 0),
                cell(cpu, result->has_server && result->operations, cpu_us_each(result), 3),
                cell(busy, result->has_server, percent_busy(result->server_cpu_ns, result), 0),
                cell(own, true, percent_busy(result->generator_cpu_ns, result), 0),
                cell(p50, any, (double)histogram_percentile_us(latency, 50), 0),
                cell(p99, any, (double)histogram_percentile_us(latency, 99), 0),
                cell(max, any, (double)latency->max_us, 0), cell(kib, result->has_growth, kib_each(run), 1),
                cell(lost, true, (double)result->lost, 0), cell(doubled, true, (double)result->duplicated, 0),
                cell(order, true, (double)result->misordered, 0));
}

static void append_number(struct buf *out, const char *name, bool measured, double value)
{
    if (measured)
        buf_appendf(out, ",\"%s\":%.6g", name, value);
    else
        buf_appendf(out, ",\"%s\":null", name);
}

static void append_count(struct buf *out, const char *name, uint64_t value)
{
    buf_appendf(out, ",\"%s\":%llu", name, (unsigned long long)value);
}

static void append_settings(struct buf *out, const struct run_settings *settings)
{
    append_count(out, "connections", settings->connections);
    append_count(out, "window", settings->window);
    append_count(out, "publishers", settings->publishers);
    append_count(out, "batch", settings->batch);
    append_count(out, "data_bytes", settings->data_bytes);
    append_count(out, "at_once", settings->at_once);
    append_count(out, "warmup_us", settings->warmup_us);
}

static void append_latency(struct buf *out, const struct histogram *latency)
{
    static const struct {
        const char *name;
        double percent;
    } rows[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}};
    buf_append_lit(out, ",\"latency_us\":{");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        buf_appendf(out, "\"%s\":%llu,", rows[i].name,
                    (unsigned long long)histogram_percentile_us(latency, rows[i].percent));
    buf_appendf(out, "\"max\":%llu}", (unsigned long long)latency->max_us);
}

void report_json(struct buf *out, const struct scenario *scenario, const struct run *run)
{
    const struct run_result *result = &run->result;
    buf_appendf(out, "{\"scenario\":\"%s\",\"unit\":\"%s\"", scenario->name, scenario->unit);
    append_settings(out, run->settings);
    append_count(out, "operations", result->operations);
    append_count(out, "elapsed_us", result->elapsed_us);
    append_number(out, "per_second", true, per_second(result));
    append_number(out, "server_cpu_us_each", result->has_server && result->operations, cpu_us_each(result));
    append_number(out, "server_cpu_percent", result->has_server, percent_busy(result->server_cpu_ns, result));
    append_number(out, "server_rss_bytes", result->server_rss_bytes > 0, (double)result->server_rss_bytes);
    append_number(out, "server_rss_growth_bytes", result->has_growth, (double)result->rss_growth_bytes);
    append_number(out, "generator_cpu_percent", true, percent_busy(result->generator_cpu_ns, result));
    if (result->latency.count > 0)
        append_latency(out, &result->latency);
    else
        buf_append_lit(out, ",\"latency_us\":null");
    append_count(out, "lost", result->lost);
    append_count(out, "duplicated", result->duplicated);
    append_count(out, "misordered", result->misordered);
    buf_append_lit(out, "}\n");
}
