/* outbound_calls.c - how many calls a second the outbound thread makes for one worker.
 *
 *     outbound_calls URL [IN_FLIGHT [SECONDS [BODY_BYTES [CA_FILE]]]]      100 in flight, 5 s, 256 bytes
 *
 * With a CA file it offers HTTP/2.
 *
 * Prints the calls, their rate, their latency, and the CPU time of each call: of the thread that starts it and takes
 * the answer, and of the outbound thread. The backend is echo_backend. */
#include <stdio.h>
#include <sys/resource.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/uv_handle.h"
#include "server/outbound/outbound.h"

enum { SAMPLES_MAX = 1 << 20 };

struct bench {
    uv_loop_t loop;
    struct turn turn;
    struct mailbox mailbox;
    struct outbound *outbound;
    struct outbound_target *target;
    struct str body;
    uint64_t until_us;
    uint64_t calls;
    uint64_t failures;
    unsigned in_flight;
    uint32_t *samples;
};

static void call(struct bench *bench);

static void on_head(struct outbound_call *ended, void *owner, const struct outbound_head *head)
{
    (void)ended;
    (void)owner;
    (void)head;
}

static void on_body(struct outbound_call *ended, void *owner, struct str part)
{
    (void)owner;
    outbound_more(ended, part.len);
}

static void on_end(struct outbound_call *ended, void *owner, const struct outbound_end *end)
{
    struct bench *bench = owner;
    (void)ended;
    if (bench->calls < SAMPLES_MAX)
        bench->samples[bench->calls] = (uint32_t)end->duration_us;
    bench->calls++;
    if (end->result != OUTBOUND_OK || end->status != 200) {
        if (bench->failures++ == 0)
            fprintf(stderr, "%s: %.*s\n", outbound_result_text(end->result), STR_ARG(end->text));
    }
    bench->in_flight--;
    if (turn_now_us(&bench->turn) < bench->until_us)
        call(bench);
    else if (bench->in_flight == 0)
        uv_stop(&bench->loop);
}

static const struct outbound_ops ops = {on_head, on_body, on_end};

static void call(struct bench *bench)
{
    static const struct outbound_field fields[] = {
        {{"Content-Type", 12}, {"application/json", 16}},
        {{"ce-specversion", 14}, {"1.0", 3}},
        {{"ce-type", 7}, {"carillon.message", 16}},
        {{"ce-source", 9}, {"/endpoints/%2Fws/sessions/0e0ff1bc-3bb1-4b4d-9a5c-0a8b1cf2a7c1", 62}},
        {{"ce-id", 5}, {"0e0ff1bc-3bb1-4b4d-9a5c-0a8b1cf2a7c1.1", 38}},
        {{"ce-time", 7}, {"2026-01-15T10:30:00.000Z", 24}},
        {{"ce-sessionid", 12}, {"0e0ff1bc-3bb1-4b4d-9a5c-0a8b1cf2a7c1", 36}},
        {{"ce-userid", 9}, {"user-1", 6}},
        {{"ce-sequence", 11}, {"1", 1}},
        {{"webhook-signature", 17}, {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", 47}},
    };
    const struct outbound_request request = {
        .target = bench->target,
        .method = STR("POST"),
        .fields = fields,
        .field_count = sizeof fields / sizeof *fields,
        .body = bench->body,
        .id = STR("bench"),
        .reply_to = &bench->mailbox,
        .ops = &ops,
    };
    struct outbound_call *started;
    struct error error;
    if (outbound_start(bench->outbound, &request, &started, &error) != ERR_NONE) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    bench->in_flight++;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double cpu_us(int whose)
{
    struct rusage usage;
    getrusage(whose, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void report(struct bench *bench, uint64_t took_us)
{
    double all_us = cpu_us(RUSAGE_SELF), own_us = cpu_us(RUSAGE_THREAD);
    size_t count = bench->calls < SAMPLES_MAX ? bench->calls : SAMPLES_MAX;
    qsort(bench->samples, count, sizeof *bench->samples, compare);
    printf(
        "%llu calls, %.0f a second, %llu failed; p50 %u us, p99 %u us; us of CPU a call: worker %.1f, outbound %.1f\n",
        (unsigned long long)bench->calls, (double)bench->calls * 1e6 / (double)took_us,
        (unsigned long long)bench->failures, bench->samples[count / 2], bench->samples[count * 99 / 100],
        own_us / (double)bench->calls, (all_us - own_us) / (double)bench->calls);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    static struct metrics metrics;
    if (argc < 2) {
        fprintf(stderr, "usage: outbound_calls URL [IN_FLIGHT [SECONDS [BODY_BYTES [CA_FILE]]]]\n");
        return 1;
    }
    unsigned in_flight = argc > 2 ? (unsigned)atoi(argv[2]) : 100;
    unsigned seconds = argc > 3 ? (unsigned)atoi(argv[3]) : 5;
    size_t body_len = argc > 4 ? (size_t)atoi(argv[4]) : 256;
    char *body = xmalloc(body_len);
    memset(body, 'x', body_len);
    bench.body = str_from(body, body_len);
    bench.samples = xcalloc(SAMPLES_MAX, sizeof *bench.samples);
    uv_loop_init(&bench.loop);
    turn_init(&bench.turn, &bench.loop);
    mailbox_init(&bench.mailbox, &bench.turn, &bench);
    metrics_init(&metrics, -1);
    bench.outbound = outbound_create(&metrics);
    const struct outbound_target_options options = {.name = STR("bench"),
                                                    .url = str_from_cstr(argv[1]),
                                                    .in_flight = in_flight,
                                                    .http2 = argc > 5,
                                                    .ca_file = str_from_cstr(argc > 5 ? argv[5] : "")};
    struct error error;
    if (outbound_target_create(bench.outbound, &options, &bench.target, &error) != ERR_NONE) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    uint64_t began_us = clock_now_us();
    bench.until_us = began_us + seconds * 1000000ull;
    for (unsigned i = 0; i < in_flight; i++)
        call(&bench);
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    report(&bench, clock_now_us() - began_us);
    outbound_target_unref(bench.target);
    outbound_destroy(bench.outbound);
    mailbox_close(&bench.mailbox);
    turn_close(&bench.turn);
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    uv_loop_close(&bench.loop);
    free(bench.samples);
    free(body);
    return bench.failures > 0;
}
