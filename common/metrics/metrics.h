/* metrics.h - counters, gauges and histograms of one table (metrics.def), and their OpenMetrics text.
 *
 * Each thread has one struct metrics. Only that thread counts in it; any thread may read it meanwhile. Counting is a
 * plain load, add and store, without a bus lock. A reader gets each cell whole, but not all cells of one instant.
 * Values that are measured only on request (memory, open files) are set in a struct metrics made for that answer, and
 * written with the others. Knows no threads, sockets or clocks. */
#ifndef CARILLON_METRICS_METRICS_H
#define CARILLON_METRICS_METRICS_H

#include <stdatomic.h>

#include "common/base/buf.h"
#include "common/metrics/metrics_labels.h"

enum metric {
#define METRIC(symbol, kind, a, b, scope, name, text) METRIC_##symbol,
#include "common/metrics/metrics.def"
#undef METRIC
    METRIC_COUNT
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_INFO };
enum metric_scope { METRIC_NODE, METRIC_WORKER };

/* Upper bounds of all histograms, in microseconds; above the last is one more bucket. */
#define METRICS_BOUNDS_US                                                                                              \
    {                                                                                                                  \
        50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000   \
    }
enum { METRICS_BOUNDS = 16, METRICS_SUM_CELL = METRICS_BOUNDS + 1, METRICS_HISTOGRAM_CELLS };

/* Cells that a series of each kind takes. */
enum {
    METRICS_CELLS_COUNTER = 1,
    METRICS_CELLS_GAUGE = 1,
    METRICS_CELLS_HISTOGRAM = METRICS_HISTOGRAM_CELLS,
    METRICS_CELLS_INFO = 1,
};

/* The first cell of each metric. */
enum metric_cell {
#define METRIC(symbol, kind, a, b, scope, name, text)                                                                  \
    METRIC_CELL_##symbol,                                                                                              \
        METRIC_LAST_##symbol = METRIC_CELL_##symbol + METRICS_CELLS_##kind * METRICS_SIZE_##a * METRICS_SIZE_##b - 1,
#include "common/metrics/metrics.def"
#undef METRIC
    METRICS_CELLS
};

struct metrics {
    int worker; /* the label of per-worker series; negative: not a worker, has none */
    _Atomic uint64_t cells[METRICS_CELLS];
};

/* One row of the table, for the writer, the reference and tests that walk it. */
struct metric_row {
    const char *symbol;
    const char *name;
    const char *text;
    enum metric_kind kind;
    enum metric_scope scope;
    unsigned first_cell;
    const char *label[2];                    /* NULL: none */
    unsigned size[2];                        /* 1: none */
    const char *(*value[2])(unsigned index); /* the label's text; NULL: the series does not exist yet */
};
extern const struct metric_row metric_rows[METRIC_COUNT];

static inline void metrics_cell_add(struct metrics *metrics, unsigned cell, uint64_t n)
{
    uint64_t old = atomic_load_explicit(&metrics->cells[cell], memory_order_relaxed);
    atomic_store_explicit(&metrics->cells[cell], old + n, memory_order_relaxed);
}

void metrics_init(struct metrics *metrics, int worker);

/* For a family without labels. */
static inline void metrics_add(struct metrics *metrics, enum metric metric, uint64_t n)
{
    metrics_cell_add(metrics, metric_rows[metric].first_cell, n);
}

/* n may be negative. A gauge may go up in one thread and down in another: the sum is right. */
static inline void metrics_gauge_add(struct metrics *metrics, enum metric metric, int64_t n)
{
    metrics_cell_add(metrics, metric_rows[metric].first_cell, (uint64_t)n);
}

static inline void metrics_set(struct metrics *metrics, enum metric metric, uint64_t value)
{
    atomic_store_explicit(&metrics->cells[metric_rows[metric].first_cell], value, memory_order_relaxed);
}

/* label: a value of the family's set. */
static inline void metrics_add_labelled(struct metrics *metrics, enum metric metric, unsigned label, uint64_t n)
{
    metrics_cell_add(metrics, metric_rows[metric].first_cell + label, n);
}

/* For a family with two labels. */
static inline void metrics_add_labelled2(struct metrics *metrics, enum metric metric, unsigned first, unsigned second,
                                         uint64_t n)
{
    const struct metric_row *row = &metric_rows[metric];
    metrics_cell_add(metrics, row->first_cell + first * row->size[1] + second, n);
}

static inline void metrics_set_labelled(struct metrics *metrics, enum metric metric, unsigned label, uint64_t value)
{
    atomic_store_explicit(&metrics->cells[metric_rows[metric].first_cell + label], value, memory_order_relaxed);
}

/* One observation of a histogram with one label. */
void metrics_observe_labelled(struct metrics *metrics, enum metric metric, unsigned label, uint64_t value_us);

/* One observation of a histogram. */
static inline void metrics_observe(struct metrics *metrics, enum metric metric, uint64_t value_us)
{
    metrics_observe_labelled(metrics, metric, 0, value_us);
}

/* A cell's value added up over all: 0 for a family without labels, else the label's value (first * size of the second
 * + second). Of a histogram: the number of observations. Any thread. */
uint64_t metrics_value(const struct metrics *const *all, size_t count, enum metric metric, unsigned label);

/* Appends the OpenMetrics text (version 1.0.0) of all of them, with "# EOF". version is the value of
 * carillon_build_info's label. Any thread. */
#define METRICS_CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
void metrics_write(struct buf *out, const struct metrics *const *all, size_t count, const char *version);

/* Appends the reference page, in Markdown. */
void metrics_reference(struct buf *out);

#endif
