/* report.c - see report.h: the table. */
#include "bench/load/report.h"

#include <stdio.h>

enum { CELL = 32 };

double report_per_second(const struct run_result *result, uint64_t count)
{
    return result->elapsed_us ? (double)count * 1e6 / (double)result->elapsed_us : 0;
}

uint64_t report_server_cpu_ns(const struct run *run)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < run->settings->server_count; i++)
        sum += run->result.servers[i].cpu_ns;
    return sum;
}

double report_cpu_us_each(const struct run_result *result, uint64_t cpu_ns)
{
    return result->operations ? (double)cpu_ns / 1e3 / (double)result->operations : 0;
}

double report_percent_busy(const struct run_result *result, uint64_t cpu_ns)
{
    return result->elapsed_us ? (double)cpu_ns / 10.0 / (double)result->elapsed_us : 0;
}

int64_t report_growth_bytes(const struct run *run)
{
    int64_t sum = 0;
    for (size_t i = 0; i < run->settings->server_count; i++)
        sum += run->result.servers[i].rss_growth_bytes;
    return sum;
}

bool report_is_clean(const struct run *run)
{
    return run->result.lost == 0 && run->result.duplicated == 0 && run->result.misordered == 0;
}

static void describe(const struct run *run, const struct scenario *scenario, struct buf *out)
{
    const struct run_settings *settings = run->settings;
    buf_appendf(out, "%s ", scenario->name);
    if (scenario->takes & ROOMS)
        buf_appendf(out, "%zux%zu", settings->channel_count, settings->connections / settings->channel_count);
    else
        buf_appendf(out, "%zu", settings->connections);
    if (scenario->takes & TRAFFIC && settings->rate)
        buf_appendf(out, ", %llu/s", (unsigned long long)settings->rate);
    else if (scenario->takes & TRAFFIC)
        buf_appendf(out, ", window %zu/%zu", settings->window, settings->publishers);
    else if (scenario->takes & EVENTS)
        buf_appendf(out, ", batch %zu", settings->batch);
    else if (scenario->takes & DOOR)
        buf_appendf(out, ", %zu at once", settings->at_once);
    if (scenario->takes & SLOW)
        buf_appendf(out, ", %llu of %llu closed", (unsigned long long)run->result.closed,
                    (unsigned long long)run->result.stopped);
    if (scenario->takes & EVENTS)
        buf_appendf(out, ", %zu B", settings->data_bytes);
}

static const char *cell(char out[CELL], bool measured, double value, int digits)
{
    if (measured)
        snprintf(out, CELL, "%.*f", digits, value);
    else
        snprintf(out, CELL, "-");
    return out;
}

static const char row_format[] = "%-32s %11s %10s %8s %7s %7s %8s %8s %8s %8s %8s %9s %6s %6s %6s\n";

void report_header(struct buf *out)
{
    buf_appendf(out, "%32s %11s %10s %8s %7s %7s %8s %8s %8s %8s %8s %9s %6s %6s %6s\n", "", "operations", "a second",
                "CPU us", "server", "client", "p50", "p99", "max", "first at", "last at", "RSS KiB", "", "", "wrong");
    buf_appendf(out, row_format, "scenario", "", "", "each", "CPU %", "CPU %", "us", "us", "us", "p50 us", "p50 us",
                "each conn", "lost", "double", "order");
}

void report_row(struct buf *out, const struct scenario *scenario, const struct run *run)
{
    const struct run_result *result = &run->result;
    const struct histogram *latency = &result->latency;
    struct buf what = {0};
    char count[CELL], rate[CELL], cpu[CELL], busy[CELL], own[CELL], p50[CELL], p99[CELL], max[CELL], first[CELL];
    char last[CELL], kib[CELL], lost[CELL], doubled[CELL], order[CELL];
    bool any = latency->count > 0, has_server = run->settings->server_count > 0;
    uint64_t server_ns = report_server_cpu_ns(run);
    describe(run, scenario, &what);
    buf_appendf(
        out, row_format, buf_cstr(&what), cell(count, true, (double)result->operations, 0),
        cell(rate, true, report_per_second(result, result->operations), 0),
        cell(cpu, has_server && result->operations, report_cpu_us_each(result, server_ns), 3),
        cell(busy, has_server, report_percent_busy(result, server_ns), 0),
        cell(own, true, report_percent_busy(result, result->generator_cpu_ns), 0),
        cell(p50, any, (double)histogram_percentile_us(latency, 50), 0),
        cell(p99, any, (double)histogram_percentile_us(latency, 99), 0), cell(max, any, (double)latency->max_us, 0),
        cell(first, result->first.count > 0, (double)histogram_percentile_us(&result->first, 50), 0),
        cell(last, result->last.count > 0, (double)histogram_percentile_us(&result->last, 50), 0),
        cell(kib, result->has_growth, (double)report_growth_bytes(run) / 1024 / (double)run->settings->connections, 1),
        cell(lost, true, (double)result->lost, 0), cell(doubled, true, (double)result->duplicated, 0),
        cell(order, true, (double)result->misordered, 0));
    buf_fini(&what);
}
