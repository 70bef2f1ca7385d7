/* carillon_bench.c - the load generator, the program carillon-bench. `carillon bench` starts it, too. */
#include <stdio.h>

#include "bench/load/report.h"
#include "bench/load/setup.h"
#include "common/base/alloc.h"
#include "server/cli/cli.h"

static void print_report(const struct flags *flags, const struct run *run)
{
    struct buf out = {0};
    if (flags->given[FLAG_JSON]) {
        report_json(&out, flags->scenario, run);
    } else {
        if (!flags->given[FLAG_NO_HEADER])
            report_header(&out);
        report_row(&out, flags->scenario, run);
    }
    fputs(buf_cstr(&out), stdout);
    fflush(stdout);
    buf_fini(&out);
}

static int measure(const char *command, const struct flags *flags, const struct setup *setup)
{
    struct run *run = xcalloc(1, sizeof *run);
    const struct run_result *result = &run->result;
    const char *name = flags->scenario->name;
    struct error error;
    int code = CLI_OK;
    run->settings = &setup->settings;
    run->clients = &setup->clients;
    run->api = &setup->api;
    run->redis = flags->given[FLAG_REDIS] ? &setup->redis : NULL;
    loop_init(&run->loop);
    run->loop.addresses = &setup->addresses;
    if (flags->scenario->run(run, &error) != ERR_NONE) {
        code = cli_fail(command, CLI_FAILED, "%s: %s", name, error.text);
    } else {
        print_report(flags, run);
        if (!report_is_clean(run))
            code = cli_fail(command, CLI_FAILED,
                            "%s: not every event was right: %llu lost, %llu doubled, %llu out of order", name,
                            (unsigned long long)result->lost, (unsigned long long)result->duplicated,
                            (unsigned long long)result->misordered);
    }
    loop_fini(&run->loop);
    free(run);
    return code;
}

int main(int argc, char **argv)
{
    struct flags flags;
    struct setup setup;
    struct error error;
    cli_prepare();
    int code = flags_read(&flags, argc, argv);
    if (code >= 0)
        return code;
    enum err err = setup_make(&setup, &flags, &error);
    code = err ? cli_usage(argv[0], "%s", error.text) : measure(argv[0], &flags, &setup);
    setup_fini(&setup);
    return code;
}
