/* run.c - see run.h. */
#include "server/cli/bench/run.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/json/json.h"
#include "common/token/issue.h"

enum { END_US = 10 * 1000 * 1000, TOKEN_HOURS = 12 };

const struct scenario scenarios[] = {
#define SCENARIO(name, unit, connections, summary) {#name, unit, connections, summary, scenario_##name},
#include "server/cli/bench/scenarios.def"
#undef SCENARIO
    {0},
};

static enum err read_server(const struct run *run, struct process_usage *out, struct error *error)
{
    *out = (struct process_usage){0};
    return run->settings->server_pid ? process_usage_read(run->settings->server_pid, out, error) : ERR_NONE;
}

enum err run_begin(struct run *run, struct error *error)
{
    enum err err = process_usage_read(0, &run->generator_before, error);
    if (!err)
        err = read_server(run, &run->server_before, error);
    run->began_us = clock_now_us();
    return err;
}

enum err run_end(struct run *run, struct error *error)
{
    struct run_result *result = &run->result;
    struct process_usage server, generator;
    result->elapsed_us = clock_now_us() - run->began_us;
    enum err err = read_server(run, &server, error);
    if (!err)
        err = process_usage_read(0, &generator, error);
    if (err)
        return err;
    result->generator_cpu_ns = generator.cpu_ns - run->generator_before.cpu_ns;
    result->has_server = run->settings->server_pid != 0;
    result->server_cpu_ns = server.cpu_ns - run->server_before.cpu_ns;
    result->server_rss_bytes = server.rss_bytes;
    return ERR_NONE;
}

static enum err mint_tokens(const struct run *run, struct buf *tokens, size_t count, struct error *error)
{
    enum err err = ERR_NONE;
    struct buf payload = {0};
    uint64_t now_s = clock_wall_ms() / 1000;
    for (size_t i = 0; i < count && !err; i++) {
        buf_clear(&payload);
        buf_appendf(&payload, "{\"sub\":\"bench-%zu\",\"iat\":%llu,\"exp\":%llu,\"channels\":[", i,
                    (unsigned long long)now_s, (unsigned long long)(now_s + TOKEN_HOURS * 3600));
        json_append_string(&payload, run->settings->channel);
        buf_append_lit(&payload, "]}");
        err = token_issue(run->settings->keys, 0, STR(""), buf_str(&payload), &tokens[i], error);
    }
    buf_fini(&payload);
    return err;
}

void run_free_tokens(struct buf *tokens, size_t count)
{
    for (size_t i = 0; tokens && i < count; i++)
        buf_fini(&tokens[i]);
    free(tokens);
}

enum err run_prepare(struct run *run, struct crowd *crowd, struct buf **out_tokens, struct error *error)
{
    crowd->loop = &run->loop;
    crowd->target = run->clients;
    crowd->channel = run->settings->channel;
    crowd->count = run->settings->connections;
    crowd->at_once = run->settings->at_once;
    crowd_init(crowd);
    struct buf *tokens = xcalloc(crowd->count, sizeof *tokens);
    crowd->tokens = tokens;
    *out_tokens = tokens;
    return mint_tokens(run, tokens, crowd->count, error);
}

void run_note_growth(struct run *run, const struct process_usage *before, uint64_t rss_bytes)
{
    run->result.has_growth = before->rss_bytes > 0 && rss_bytes > 0;
    run->result.rss_growth_bytes = (int64_t)rss_bytes - (int64_t)before->rss_bytes;
}

enum err run_connect(struct run *run, struct crowd *crowd, struct buf **out_tokens, struct error *error)
{
    struct process_usage before, after;
    enum err err = run_prepare(run, crowd, out_tokens, error);
    if (!err)
        err = read_server(run, &before, error);
    if (!err)
        err = crowd_connect(crowd, RUN_CONNECT_US, error);
    if (!err)
        err = read_server(run, &after, error);
    if (!err)
        run_note_growth(run, &before, after.rss_bytes);
    return err;
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
    while (!(failure = load->failure(load->owner)) && run->allowance > 0 && (count || clock_now_us() < until_us)) {
        loop_turn(&run->loop, clock_now_us() + 100000);
        if (load->turn)
            load->turn(load->owner);
    }
    run->allowance = 0;
    until_us = clock_now_us() + END_US;
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
    if (err)
        return err;
    load->forget(load->owner);
    histogram_clear(&run->result.latency);
    err = run_begin(run, error);
    if (!err)
        err = run_phase(run, load, settings->measure_us, settings->count, error);
    return err ? err : run_end(run, error);
}

void run_append_data(struct buf *out, uint32_t number, size_t data_bytes)
{
    size_t start = out->len;
    buf_append_lit(out, "{\"n\":");
    buf_append_u64(out, number);
    buf_append_lit(out, ",\"pad\":\"");
    size_t pad = data_bytes - (out->len - start) - 2;
    buf_reserve(out, pad);
    memset(out->ptr + out->len, 'x', pad);
    out->len += pad;
    buf_append_lit(out, "\"}");
}
