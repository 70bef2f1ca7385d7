/* run.c - see run.h. */
#include "bench/load/run.h"

#include "common/base/clock.h"

enum { TURN_US = 100 * 1000 };

static enum err read_servers(const struct run *run, struct process_usage out[RUN_SERVERS_MAX], struct error *error)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; i < run->settings->server_count && !err; i++)
        err = process_usage_read(run->settings->servers[i], &out[i], error);
    return err;
}

enum err run_begin(struct run *run, struct error *error)
{
    struct process_usage own;
    enum err err = process_usage_read(0, &own, error);
    if (err)
        return err;
    run->generator_before_ns = own.cpu_ns;
    for (size_t i = 0; i < run->settings->server_count; i++)
        process_forget_peak(run->settings->servers[i]);
    err = read_servers(run, run->servers_before, error);
    run->began_us = clock_now_us();
    return err;
}

enum err run_end(struct run *run, struct error *error)
{
    struct run_result *result = &run->result;
    struct process_usage servers[RUN_SERVERS_MAX], own;
    result->elapsed_us = clock_now_us() - run->began_us;
    enum err err = read_servers(run, servers, error);
    if (!err)
        err = process_usage_read(0, &own, error);
    if (err)
        return err;
    result->generator_cpu_ns = own.cpu_ns - run->generator_before_ns;
    for (size_t i = 0; i < run->settings->server_count; i++) {
        result->servers[i].cpu_ns = servers[i].cpu_ns - run->servers_before[i].cpu_ns;
        result->servers[i].rss_bytes = servers[i].rss_bytes;
        result->servers[i].peak_bytes = servers[i].peak_bytes;
    }
    return ERR_NONE;
}

enum err run_weigh(struct run *run, struct error *error)
{
    struct process_usage servers[RUN_SERVERS_MAX];
    enum err err = read_servers(run, servers, error);
    for (size_t i = 0; i < run->settings->server_count && !err; i++)
        run->weighed_bytes[i] = servers[i].rss_bytes;
    return err;
}

enum err run_note_growth(struct run *run, struct error *error)
{
    struct process_usage servers[RUN_SERVERS_MAX];
    enum err err = read_servers(run, servers, error);
    if (err)
        return err;
    run->result.has_growth = run->settings->server_count > 0;
    for (size_t i = 0; i < run->settings->server_count; i++) {
        run->result.servers[i].rss_growth_bytes = (int64_t)servers[i].rss_bytes - (int64_t)run->weighed_bytes[i];
        if (servers[i].rss_bytes == 0 || run->weighed_bytes[i] == 0)
            run->result.has_growth = false;
    }
    return ERR_NONE;
}

bool run_take(struct run *run)
{
    if (run->allowance == 0)
        return false;
    run->allowance--;
    return true;
}

static enum err run_phase(struct run *run, const struct load *load, uint64_t duration_us, uint64_t count,
                          struct error *error)
{
    uint64_t now_us = clock_now_us();
    uint64_t until_us = now_us + duration_us;
    const struct error *failure = NULL;
    run->allowance = count ? count : UINT64_MAX;
    load->start(load->owner);
    while (!(failure = load->failure(load->owner)) && run->allowance > 0 &&
           (count || (now_us = clock_now_us()) < until_us)) {
        loop_turn(&run->loop, count || until_us - now_us > TURN_US ? clock_now_us() + TURN_US : until_us);
        if (load->turn)
            load->turn(load->owner);
    }
    run->allowance = 0;
    until_us = clock_now_us() + run->settings->patience_us;
    while (!failure && load->under_way(load->owner) > 0 && loop_turn(&run->loop, until_us))
        failure = load->failure(load->owner);
    return failure ? error_set(error, ERR_UNAVAILABLE, "%s", failure->text) : ERR_NONE;
}

enum err run_load(struct run *run, const struct load *load, struct error *error)
{
    const struct run_settings *settings = run->settings;
    enum err err = ERR_NONE;
    if (settings->warmup_us > 0)
        err = run_phase(run, load, settings->warmup_us, 0, error);
    if (err || load->under_way(load->owner) > 0)
        return err;
    load->forget(load->owner);
    histogram_clear(&run->result.latency);
    err = run_begin(run, error);
    if (!err)
        err = run_phase(run, load, settings->measure_us, settings->count, error);
    return err ? err : run_end(run, error);
}
