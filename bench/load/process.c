/* process.c - see process.h. */
#include "bench/load/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PATH_LEN = 64 };

static FILE *open_file(pid_t pid, const char *name, const char *mode)
{
    char path[PATH_LEN];
    if (pid > 0)
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    else
        snprintf(path, sizeof path, "/proc/self/%s", name);
    return fopen(path, mode);
}

/* The line "<member> <number> kB" of a file. */
static uint64_t read_kib(pid_t pid, const char *name, const char *member)
{
    char line[256];
    uint64_t kib = 0;
    FILE *file = open_file(pid, name, "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, member, strlen(member)) == 0)
            kib = strtoull(line + strlen(member), NULL, 10);
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
    /* smaps_rollup counts the pages themselves; the figures of statm and status may lag behind by some hundred KiB. */
    out->rss_bytes = read_kib(pid, "smaps_rollup", "Rss:");
    out->peak_bytes = read_kib(pid, "status", "VmHWM:");
    return ERR_NONE;
}

void process_forget_peak(pid_t pid)
{
    FILE *file = open_file(pid, "clear_refs", "w");
    if (!file)
        return;
    fputs("5\n", file); /* proc(5): resets VmHWM */
    fclose(file);
}
