/* process_metrics.h - what the process uses, read from /proc when somebody asks. Any thread. */
#ifndef CARILLON_APP_PROCESS_METRICS_H
#define CARILLON_APP_PROCESS_METRICS_H

#include "common/metrics/metrics.h"

/* Sets the process gauges of *metrics, which was made for one answer. started_ms: wall clock. */
void process_metrics_read(struct metrics *metrics, uint64_t started_ms);

#endif
