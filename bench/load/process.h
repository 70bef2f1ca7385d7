/* process.h - what the kernel knows of a process: CPU time to the nanosecond, resident memory to the page. For
 * processes of the same user. */
#ifndef CARILLON_BENCH_LOAD_PROCESS_H
#define CARILLON_BENCH_LOAD_PROCESS_H

#include <sys/types.h>

#include "common/base/error.h"

struct process_usage {
    uint64_t cpu_ns;     /* user and system, all threads, those that have ended too */
    uint64_t rss_bytes;  /* 0 when the kernel does not tell, as below */
    uint64_t peak_bytes; /* the largest resident size since it began, or since process_forget_peak */
};

/* pid 0 is this process. ERR_NOT_FOUND: there is no such process, or it is another user's. */
enum err process_usage_read(pid_t pid, struct process_usage *out, struct error *error);

/* The peak is taken from now on; without the right to write to the process it stays that of its whole life. */
void process_forget_peak(pid_t pid);

#endif
