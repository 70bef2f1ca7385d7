/* process_metrics.c - see process_metrics.h. */
#include "server/app/process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/log.h"

static uint64_t resident_bytes(void)
{
    unsigned long long size = 0;
    unsigned long long resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t open_fds(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count - 1; /* the folder itself was open */
}

void process_metrics_read(struct metrics *metrics, uint64_t started_ms)
{
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    metrics_set(metrics, METRIC_LOG_LINES_DROPPED, log_dropped());
    metrics_set(metrics, METRIC_PROCESS_RESIDENT_MEMORY, resident_bytes());
    metrics_set(metrics, METRIC_PROCESS_OPEN_FDS, open_fds());
    metrics_set(metrics, METRIC_PROCESS_MAX_FDS, limit.rlim_cur);
    metrics_set(metrics, METRIC_PROCESS_START_TIME, started_ms / 1000);
}
