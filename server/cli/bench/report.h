/* report.h - a run as a row of a table, or as one JSON object a line. What was not measured is "-" or null. Pure. */
#ifndef CARILLON_CLI_BENCH_REPORT_H
#define CARILLON_CLI_BENCH_REPORT_H

#include "server/cli/bench/run.h"

/* Each appends one line (the header two). */
void report_header(struct buf *out);
void report_row(struct buf *out, const struct scenario *scenario, const struct run *run);
void report_json(struct buf *out, const struct scenario *scenario, const struct run *run);

/* Were all operations right? */
bool report_is_clean(const struct run *run);

#endif
