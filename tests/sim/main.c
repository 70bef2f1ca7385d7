/* main.c - carillon_sim: runs seeds, each in a process that may crash without taking the others with it, and says which
 * failed. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/sim/loop.h"
#include "tests/sim/plan.h"
#include "tests/sim/redis.h"
#include "tests/sim/world.h"

enum { FAILURES_ENOUGH = 10, JOBS_MAX = 64 };

/* Shared by the processes. */
struct board {
    _Atomic uint64_t next;
    _Atomic uint64_t passed;
    _Atomic uint64_t failed;
    uint64_t last;
    uint64_t enough;          /* failures */
    uint64_t seeds[JOBS_MAX]; /* what each job is at */
};

static const char usage[] =
    "carillon_sim [--seeds N] [--first N] [--jobs N] [--failures N]   runs so many seeds (1000), from the first on "
    "(1),\n"
    "                                                  until so many have failed (10)\n"
    "carillon_sim --seed N [--trace]                   runs one; prints the hash of its trace, or the trace too\n"
    "carillon_sim --model                              the model Redis: RESP commands from stdin, answers to stdout\n";

static void tell_failure(uint64_t seed, const char *what)
{
    printf("seed %" PRIu64 " FAILED %s\n  again, with all that happens: carillon_sim --seed %" PRIu64 " --trace\n",
           seed, what, seed);
    fflush(stdout);
}

static void work(struct board *board, int job)
{
    struct plan_result result;
    for (uint64_t seed; (seed = board->next++) <= board->last && board->failed < board->enough;) {
        board->seeds[job] = seed;
        plan_run(seed, false, &result);
        if (result.failure[0]) {
            board->failed++;
            tell_failure(seed, result.failure);
        } else {
            board->passed++;
        }
    }
}

static pid_t start_job(struct board *board, int job)
{
    pid_t pid = fork();
    if (pid == 0) {
        work(board, job);
        exit(0); /* with the leak check of a sanitizer */
    }
    return pid;
}

static int run_many(uint64_t first, uint64_t count, uint64_t enough, int jobs)
{
    struct board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[JOBS_MAX];
    struct timespec begin, end;
    if (board == MAP_FAILED) {
        perror("carillon_sim: mmap");
        return 2;
    }
    board->next = first;
    board->last = first + count - 1;
    board->enough = enough;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < jobs; i++)
        pids[i] = start_job(board, i);
    for (int left = jobs, status; left > 0;) {
        pid_t pid = wait(&status);
        int job = 0;
        while (job < jobs && pids[job] != pid)
            job++;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            left--;
            continue;
        }
        board->failed++;
        tell_failure(board->seeds[job], "its process died (see above)");
        pids[job] = start_job(board, job);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("sim: %" PRIu64 " seeds passed, %" PRIu64 " failed, in %.1f s\n", board->passed, board->failed, seconds);
    return board->failed ? 1 : 0;
}

static int run_one(uint64_t seed, bool trace)
{
    struct plan_result result;
    plan_run(seed, trace, &result);
    if (result.failure[0])
        tell_failure(seed, result.failure);
    printf("seed %" PRIu64 " trace %016" PRIx64 "\n", seed, result.trace_hash);
    return result.failure[0] ? 1 : 0;
}

static void hear_nothing(struct str channel, struct str message)
{
}

static void hear_no_refusal(struct str key)
{
}

static int run_model(void)
{
    struct buf in = {0}, out = {0};
    world_begin(1, false);
    network_begin();
    redis_begin(hear_nothing, hear_no_refusal);
    for (size_t got = 1; got > 0; in.len += got) {
        buf_reserve(&in, 65536);
        got = fread(in.ptr + in.len, 1, 65536, stdin);
    }
    redis_talk(buf_str(&in), &out);
    fwrite(out.ptr, 1, out.len, stdout);
    redis_end();
    network_end();
    world_end();
    buf_fini(&in);
    buf_fini(&out);
    return world_failure()[0] ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 'n'}, {"first", required_argument, NULL, 'f'},
        {"jobs", required_argument, NULL, 'j'},  {"failures", required_argument, NULL, 'x'},
        {"seed", required_argument, NULL, 's'},  {"model", no_argument, NULL, 'm'},
        {"trace", no_argument, NULL, 't'},       {NULL, 0, NULL, 0}};
    static const struct clock clock = {.now_us = world_now_us, .wall_ms = loop_wall_ms};
    uint64_t first = 1, count = 1000, enough = FAILURES_ENOUGH, seed = 0;
    bool trace = false;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int jobs = cores > 0 && cores < JOBS_MAX ? (int)cores : 1;
    clock_use(&clock);
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'n': count = strtoull(optarg, NULL, 10); break;
        case 'f': first = strtoull(optarg, NULL, 10); break;
        case 'x': enough = strtoull(optarg, NULL, 10); break;
        case 'j': jobs = atoi(optarg); break;
        case 's': seed = strtoull(optarg, NULL, 10); break;
        case 't': trace = true; break;
        case 'm': return run_model();
        default: fputs(usage, stderr); return 2;
        }
    }
    if (optind < argc || jobs < 1 || jobs > JOBS_MAX || count == 0) {
        fputs(usage, stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    log_configure(trace ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    return seed ? run_one(seed, trace) : run_many(first, count, enough, jobs);
}
