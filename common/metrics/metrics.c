/* metrics.c - the table of metrics, and counting: see metrics.h. */
#include "common/metrics/metrics.h"

static const char *label_NONE(unsigned index)
{
    (void)index;
    return "";
}

static const char *label_REASON(unsigned index)
{
    return reason_text((enum reason)index);
}

static const char *label_ERROR(unsigned index)
{
    return err_code((enum err)index);
}

static const char *label_COMMAND(unsigned index)
{
    return index == COMMAND_NONE ? "none" : command_name((enum command_type)index);
}

static const char *label_GAP(unsigned index)
{
    return gap_text((enum gap)index);
}

static const char *label_ROUTE(unsigned index)
{
    static const char *const texts[] = {
        "other",
#define ROUTE(method, path, key, symbol, text, function) text,
#include "common/protocol/routes.def"
#undef ROUTE
    };
    return texts[index];
}

static const char *label_LIFECYCLE(unsigned index)
{
    static const char *const texts[] = {
#define LIFECYCLE(symbol, text) text,
#include "common/protocol/lifecycle_types.def"
#undef LIFECYCLE
    };
    return texts[index];
}

#define LABEL_TEXT(symbol, text) text,
#define LABEL_SET(set, list)                                                                                           \
    static const char *label_##set(unsigned index)                                                                     \
    {                                                                                                                  \
        static const char *const texts[] = {list(LABEL_TEXT)};                                                         \
        return texts[index];                                                                                           \
    }
LABEL_SET(SOURCE, METRICS_SOURCES)
LABEL_SET(DROP, METRICS_DROPS)
LABEL_SET(RECOVERY, METRICS_RECOVERIES)
LABEL_SET(VERIFICATION, METRICS_VERIFICATIONS)
LABEL_SET(STATUS, METRICS_STATUSES)
#define METRICS_OUTCOMES(LABEL) METRICS_STATUSES(LABEL) METRICS_UPSTREAM_FAILURES(LABEL) METRICS_UPGRADES(LABEL)
LABEL_SET(OUTCOME, METRICS_OUTCOMES)

static const char *label_UPSTREAM(unsigned index)
{
    return metrics_upstream_name(index);
}

/* The label's name, as it stands in the exposition. */
#define NAME_NONE         NULL
#define NAME_REASON       "reason"
#define NAME_ERROR        "error"
#define NAME_COMMAND      "type"
#define NAME_SOURCE       "source"
#define NAME_DROP         "reason"
#define NAME_GAP          "reason"
#define NAME_RECOVERY     "result"
#define NAME_VERIFICATION "result"
#define NAME_ROUTE        "route"
#define NAME_STATUS       "status"
#define NAME_OUTCOME      "outcome"
#define NAME_UPSTREAM     "upstream"
#define NAME_LIFECYCLE    "type"

const struct metric_row metric_rows[METRIC_COUNT] = {
#define METRIC(symbol_, kind_, a, b, scope_, name_, text_)                                                             \
    {.symbol = #symbol_,                                                                                               \
     .name = name_,                                                                                                    \
     .text = text_,                                                                                                    \
     .kind = METRIC_##kind_,                                                                                           \
     .scope = METRIC_##scope_,                                                                                         \
     .first_cell = METRIC_CELL_##symbol_,                                                                              \
     .label = {NAME_##a, NAME_##b},                                                                                    \
     .size = {METRICS_SIZE_##a, METRICS_SIZE_##b},                                                                     \
     .value = {label_##a, label_##b}},
#include "common/metrics/metrics.def"
#undef METRIC
};

void metrics_init(struct metrics *metrics, int worker)
{
    metrics->worker = worker;
    for (size_t i = 0; i < METRICS_CELLS; i++)
        atomic_init(&metrics->cells[i], 0);
}

void metrics_observe_labelled(struct metrics *metrics, enum metric metric, unsigned label, uint64_t value_us)
{
    static const uint64_t bounds[METRICS_BOUNDS] = METRICS_BOUNDS_US;
    unsigned first = metric_rows[metric].first_cell + label * METRICS_HISTOGRAM_CELLS;
    unsigned bucket = 0;
    while (bucket < METRICS_BOUNDS && value_us > bounds[bucket])
        bucket++;
    metrics_cell_add(metrics, first + bucket, 1);
    metrics_cell_add(metrics, first + METRICS_SUM_CELL, value_us);
}

uint64_t metrics_value(const struct metrics *const *all, size_t count, enum metric metric, unsigned label)
{
    const struct metric_row *row = &metric_rows[metric];
    unsigned from = row->kind == METRIC_HISTOGRAM ? 0 : label;
    unsigned to = row->kind == METRIC_HISTOGRAM ? METRICS_BOUNDS : label;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        for (unsigned cell = from; cell <= to; cell++)
            sum += atomic_load_explicit(&all[i]->cells[row->first_cell + cell], memory_order_relaxed);
    return sum;
}
