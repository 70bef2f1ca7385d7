/* process.c - see process.h. */
#include "server/cli/bench/process.h"

#include <stdio.h>
#include <time.h>

/* smaps_rollup counts the pages themselves; the figures of statm and status may lag behind by some hundred KiB. */
static uint64_t read_rss_bytes(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    if (pid > 0)
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(pid > 0 ? path : "/proc/self/smaps_rollup", "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Rss: %llu kB", &kib) == 1)
            break;
    fclose(file);
    return kib * 1024;
}

enum err process_usage_read(pid_t pid, struct process_usage *out, struct error *error)
{
    clockid_t clock;
    struct timespec cpu;
    /* The process's CPU clock: unlike /proc/<pid>/stat, whose unit is a tick, it counts what the scheduler counts. */
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &cpu) != 0)
        return error_set(error, ERR_NOT_FOUND, "there is no process %d whose CPU time can be read", (int)pid);
    out->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
    out->rss_bytes = read_rss_bytes(pid);
    return ERR_NONE;
}
