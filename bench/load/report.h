/* report.h - a run as a row of a table, or as one JSON object a line. A value that was not measured is "-" or null.
 * Pure. */
#ifndef CARILLON_BENCH_LOAD_REPORT_H
#define CARILLON_BENCH_LOAD_REPORT_H

#include "bench/load/scenarios/scenarios.h"

/* Each appends one line (the header two). */
void report_header(struct buf *out);
void report_row(struct buf *out, const struct scenario *scenario, const struct run *run);
void report_json(struct buf *out, const struct scenario *scenario, const struct run *run);

/* Were all operations right? */
bool report_is_clean(const struct run *run);

/* Values that both forms show, for all servers together. */
double report_per_second(const struct run_result *result, uint64_t count);
uint64_t report_server_cpu_ns(const struct run *run);
double report_cpu_us_each(const struct run_result *result, uint64_t cpu_ns);
double report_percent_busy(const struct run_result *result, uint64_t cpu_ns); /* of one core */
int64_t report_growth_bytes(const struct run *run);

#endif
