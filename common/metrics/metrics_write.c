/* metrics_write.c - the text of OpenMetrics 1.0.0. All samples of a family stand together. Label values come from our
 * own tables, or have been cleaned (metrics_upstream), so they need no escaping. */
#include <inttypes.h>
#include <stdio.h>

#include "common/metrics/metrics.h"

static const char *const kind_names[] = {
    [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram", [METRIC_INFO] = "info"};

/* The structs of one series: all of them, or one worker's. */
struct series {
    const struct metrics *const *all;
    size_t count;
    int worker; /* negative: no such label */
};

static uint64_t cell_sum(const struct series *series, unsigned cell)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < series->count; i++)
        sum += atomic_load_explicit(&series->all[i]->cells[cell], memory_order_relaxed);
    return sum;
}

/* OpenMetrics knows a unit by the ending of the name. */
static const char *unit_of(const char *name)
{
    static const char *const units[] = {"seconds", "bytes"};
    const char *last = strrchr(name, '_');
    for (size_t i = 0; last && i < sizeof units / sizeof *units; i++)
        if (strcmp(last + 1, units[i]) == 0)
            return units[i];
    return NULL;
}

/* Seconds with as many decimals as microseconds need, at least one: "0.00025", "1.0". */
static void append_seconds(struct buf *out, uint64_t us)
{
    buf_appendf(out, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
    while (out->ptr[out->len - 1] == '0' && out->ptr[out->len - 2] != '.')
        out->len--;
}

static void append_label(struct buf *out, bool *first, const char *name, const char *value)
{
    buf_appendf(out, "%s%s=\"%s\"", *first ? "{" : ",", name, value);
    *first = false;
}

/* Opens the label list with what all samples of the series have; the caller closes it with close_labels. */
static bool append_labels(struct buf *out, const struct metric_row *row, const struct series *series, unsigned index)
{
    bool first = true;
    unsigned at[2] = {index / row->size[1], index % row->size[1]};
    for (int i = 0; i < 2; i++)
        if (row->label[i])
            append_label(out, &first, row->label[i], row->value[i](at[i]));
    if (series->worker >= 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", series->worker);
        append_label(out, &first, "worker", number);
    }
    return first;
}

static void close_labels(struct buf *out, bool none)
{
    buf_append(out, none ? STR(" ") : STR("} "));
}

static void write_histogram(struct buf *out, const struct metric_row *row, const struct series *series, unsigned index)
{
    static const uint64_t bounds[METRICS_BOUNDS] = METRICS_BOUNDS_US;
    unsigned cell = row->first_cell + index * METRICS_HISTOGRAM_CELLS;
    uint64_t sum_us = cell_sum(series, cell + METRICS_SUM_CELL);
    uint64_t total = 0;
    for (unsigned i = 0; i <= METRICS_BOUNDS; i++) {
        total += cell_sum(series, cell + i);
        buf_appendf(out, "%s_bucket", row->name);
        bool first = append_labels(out, row, series, index);
        buf_append(out, first ? STR("{le=\"") : STR(",le=\""));
        if (i < METRICS_BOUNDS)
            append_seconds(out, bounds[i]);
        else
            buf_append_lit(out, "+Inf");
        buf_appendf(out, "\"} %" PRIu64 "\n", total);
    }
    buf_appendf(out, "%s_sum", row->name);
    close_labels(out, append_labels(out, row, series, index));
    append_seconds(out, sum_us);
    buf_appendf(out, "\n%s_count", row->name);
    close_labels(out, append_labels(out, row, series, index));
    buf_appendf(out, "%" PRIu64 "\n", total);
}

static bool series_exists(const struct metric_row *row, unsigned index)
{
    return row->value[0](index / row->size[1]) && row->value[1](index % row->size[1]);
}

static void write_series(struct buf *out, const struct metric_row *row, const struct series *series)
{
    for (unsigned index = 0; index < row->size[0] * row->size[1]; index++) {
        if (!series_exists(row, index))
            continue;
        if (row->kind == METRIC_HISTOGRAM) {
            write_histogram(out, row, series, index);
            continue;
        }
        uint64_t value = cell_sum(series, row->first_cell + index);
        buf_appendf(out, "%s%s", row->name, row->kind == METRIC_COUNTER ? "_total" : "");
        close_labels(out, append_labels(out, row, series, index));
        if (row->kind == METRIC_GAUGE)
            buf_appendf(out, "%" PRId64 "\n", (int64_t)value);
        else
            buf_appendf(out, "%" PRIu64 "\n", value);
    }
}

void metrics_write(struct buf *out, const struct metrics *const *all, size_t count, const char *version)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = &metric_rows[i];
        const char *unit = unit_of(row->name);
        buf_appendf(out, "# TYPE %s %s\n", row->name, kind_names[row->kind]);
        if (unit)
            buf_appendf(out, "# UNIT %s %s\n", row->name, unit);
        buf_appendf(out, "# HELP %s %s\n", row->name, row->text);
        if (row->kind == METRIC_INFO) {
            buf_appendf(out, "%s_info{version=\"%s\"} 1\n", row->name, version);
        } else if (row->scope == METRIC_NODE) {
            write_series(out, row, &(struct series){all, count, -1});
        } else {
            for (size_t w = 0; w < count; w++)
                if (all[w]->worker >= 0)
                    write_series(out, row, &(struct series){&all[w], 1, all[w]->worker});
        }
    }
    buf_append_lit(out, "# EOF\n");
}

static void reference_labels(struct buf *out, const struct metric_row *row)
{
    const char *between = "";
    for (int i = 0; i < 2; i++) {
        if (!row->label[i])
            continue;
        buf_appendf(out, "%s`%s`:", between, row->label[i]);
        if (strcmp(row->label[i], "upstream") == 0)
            buf_append_lit(out, " its name");
        else
            for (unsigned v = 0; v < row->size[i]; v++)
                buf_appendf(out, "%s %s", v ? "," : "", row->value[i](v));
        between = "; ";
    }
    if (row->kind == METRIC_INFO)
        buf_append_lit(out, "`version`");
    if (row->scope == METRIC_WORKER)
        buf_appendf(out, "%s`worker`: its number, from 0", between);
}

void metrics_reference(struct buf *out)
{
    buf_append_lit(
        out, "# Metrics\n\n"
             "`GET /metrics` on the internal listener answers OpenMetrics text. Every series is there from the start,\n"
             "also while it is 0; the series of an upstream are there from its first configuration on. Durations are "
             "in seconds. This page is made by `carillon reference --metrics`.\n\n"
             "| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = &metric_rows[i];
        const char *suffix = row->kind == METRIC_COUNTER ? "_total" : row->kind == METRIC_INFO ? "_info" : "";
        buf_appendf(out, "| `%s%s` | %s | ", row->name, suffix, kind_names[row->kind]);
        reference_labels(out, row);
        buf_appendf(out, " | %s |\n", row->text);
    }
}
