/* report_json.c - see report.h: the JSON object. Members keep their names and meanings; more may be added. */
#include "bench/load/report.h"
#include "common/json/json.h"

static void append_name(struct buf *out, const char *name)
{
    char before = out->len ? out->ptr[out->len - 1] : '{';
    if (before != '{')
        buf_append_char(out, ',');
    buf_appendf(out, "\"%s\":", name);
}

static void append_number(struct buf *out, const char *name, bool measured, double value)
{
    append_name(out, name);
    if (measured)
        buf_appendf(out, "%.6g", value);
    else
        buf_append_lit(out, "null");
}

static void append_count(struct buf *out, const char *name, bool measured, uint64_t value)
{
    append_name(out, name);
    if (measured)
        buf_append_u64(out, value);
    else
        buf_append_lit(out, "null");
}

static void append_signed(struct buf *out, const char *name, bool measured, int64_t value)
{
    append_name(out, name);
    if (measured)
        buf_appendf(out, "%lld", (long long)value);
    else
        buf_append_lit(out, "null");
}

static void append_text(struct buf *out, const char *name, const char *text)
{
    append_name(out, name);
    if (text)
        json_append_string(out, str_from_cstr(text));
    else
        buf_append_lit(out, "null");
}

static void append_settings(struct buf *out, const struct scenario *scenario, const struct run_settings *settings)
{
    bool is_rooms = scenario->takes & ROOMS, has_events = scenario->takes & EVENTS;
    append_text(out, "protocol", settings->dialect->name);
    append_text(out, "publish_over", has_events ? transport_names[settings->transport] : NULL);
    append_count(out, "connections", true, settings->connections);
    append_count(out, "threads", true, settings->threads);
    append_count(out, "channels", true, settings->channel_count);
    append_count(out, "members", true, settings->connections / settings->channel_count);
    append_text(out, "order", !is_rooms ? NULL : settings->in_turn ? "round-robin" : "random");
    append_count(out, "window", true, settings->window);
    append_count(out, "rate", settings->rate > 0, settings->rate);
    append_count(out, "publishers", true, settings->publishers);
    append_count(out, "batch", true, settings->batch);
    append_count(out, "data_bytes", true, settings->data_bytes);
    append_count(out, "first_data_bytes", settings->first_bytes > 0, settings->first_bytes);
    append_count(out, "at_once", true, settings->at_once);
    append_count(out, "warmup_us", true, settings->warmup_us);
}

struct percentile {
    const char *name;
    double percent;
};

static void append_percentiles(struct buf *out, const char *name, const struct histogram *latency,
                               const struct percentile *rows, size_t count)
{
    append_name(out, name);
    if (latency->count == 0) {
        buf_append_lit(out, "null");
        return;
    }
    buf_append_char(out, '{');
    for (size_t i = 0; i < count; i++)
        append_count(out, rows[i].name, true, histogram_percentile_us(latency, rows[i].percent));
    append_count(out, "max", true, latency->max_us);
    buf_append_char(out, '}');
}

static void append_latency(struct buf *out, const struct run_result *result)
{
    static const struct percentile all[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}};
    static const struct percentile ends[] = {{"p50", 50}, {"p99", 99}};
    append_percentiles(out, "latency_us", &result->latency, all, sizeof all / sizeof *all);
    append_percentiles(out, "first_latency_us", &result->first, ends, sizeof ends / sizeof *ends);
    append_percentiles(out, "last_latency_us", &result->last, ends, sizeof ends / sizeof *ends);
}

static void append_counts(struct buf *out, const struct histogram *latency)
{
    size_t step = 0;
    uint64_t us, count;
    append_name(out, "latency_counts");
    buf_append_char(out, '[');
    while ((count = histogram_next(latency, &step, &us)))
        buf_appendf(out, "%s[%llu,%llu]", out->ptr[out->len - 1] == '[' ? "" : ",", (unsigned long long)us,
                    (unsigned long long)count);
    buf_append_char(out, ']');
}

static void append_each_server(struct buf *out, const struct run *run)
{
    const struct run_result *result = &run->result;
    append_name(out, "servers");
    buf_append_char(out, '[');
    for (size_t i = 0; i < run->settings->server_count; i++) {
        const struct run_server *server = &result->servers[i];
        buf_append(out, i ? STR(",{") : STR("{"));
        append_count(out, "pid", true, (uint64_t)run->settings->servers[i]);
        append_number(out, "cpu_us_each", result->operations > 0, report_cpu_us_each(result, server->cpu_ns));
        append_number(out, "cpu_percent", true, report_percent_busy(result, server->cpu_ns));
        append_count(out, "rss_bytes", server->rss_bytes > 0, server->rss_bytes);
        append_signed(out, "rss_growth_bytes", result->has_growth, server->rss_growth_bytes);
        append_count(out, "rss_peak_bytes", server->peak_bytes > 0, server->peak_bytes);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

static void append_servers(struct buf *out, const struct run *run)
{
    const struct run_result *result = &run->result;
    bool has_server = run->settings->server_count > 0;
    uint64_t cpu_ns = report_server_cpu_ns(run), rss = 0, peak = 0;
    for (size_t i = 0; i < run->settings->server_count; i++) {
        rss += result->servers[i].rss_bytes;
        peak += result->servers[i].peak_bytes;
    }
    append_number(out, "server_cpu_us_each", has_server && result->operations, report_cpu_us_each(result, cpu_ns));
    append_number(out, "server_cpu_percent", has_server, report_percent_busy(result, cpu_ns));
    append_count(out, "server_rss_bytes", rss > 0, rss);
    append_signed(out, "server_rss_growth_bytes", result->has_growth, report_growth_bytes(run));
    append_count(out, "server_rss_peak_bytes", peak > 0, peak);
    append_each_server(out, run);
}

void report_json(struct buf *out, const struct scenario *scenario, const struct run *run)
{
    const struct run_result *result = &run->result;
    buf_append_char(out, '{');
    append_text(out, "scenario", scenario->name);
    append_text(out, "unit", scenario->unit);
    append_settings(out, scenario, run->settings);
    append_count(out, "operations", true, result->operations);
    append_count(out, "elapsed_us", true, result->elapsed_us);
    append_number(out, "per_second", true, report_per_second(result, result->operations));
    append_count(out, "events", result->has_events, result->events);
    append_number(out, "events_per_second", result->has_events, report_per_second(result, result->events));
    append_servers(out, run);
    append_number(out, "generator_cpu_percent", true, report_percent_busy(result, result->generator_cpu_ns));
    append_latency(out, result);
    if (run->settings->has_counts)
        append_counts(out, &result->latency);
    append_count(out, "stopped", scenario->takes & SLOW, result->stopped);
    append_count(out, "closed", scenario->takes & SLOW, result->closed);
    append_count(out, "recovered_clients", scenario->takes & RECOVERING, result->recovered_clients);
    append_count(out, "caught_up_us", scenario->takes & RECOVERING && result->caught_up_us, result->caught_up_us);
    append_count(out, "lost", true, result->lost);
    append_count(out, "duplicated", true, result->duplicated);
    append_count(out, "misordered", true, result->misordered);
    buf_append_lit(out, "}\n");
}
