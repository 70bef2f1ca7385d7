/* reference.c - `carillon reference`: the pages of docs/reference and the sample configuration, from the tables that
 * the server itself runs on. */
#include <stdio.h>

#include "common/metrics/metrics.h"
#include "common/protocol/gap.h"
#include "common/protocol/reason.h"
#include "server/app/options.h"
#include "server/cli/cli.h"

static void options_page(struct buf *out)
{
    options_reference(&options_table, out);
}

static void schema_page(struct buf *out)
{
    options_schema(&options_table, out);
}

static void sample_page(struct buf *out)
{
    options_sample(&options_table, out);
}

static void errors_page(struct buf *out)
{
    buf_append_lit(out, "# Errors and reasons\n\nMade by `carillon reference --errors`.\n\n## Error codes\n\n"
                        "In `error` frames and in the answers of the HTTP API.\n\n"
                        "| code | HTTP status | close code | meaning |\n| --- | --- | --- | --- |\n");
    for (int i = ERR_NONE + 1; i < ERR_COUNT; i++) {
        enum err err = (enum err)i;
        buf_appendf(out, "| `%s` | %d | %d | %s |\n", err_code(err), err_http_status(err), err_close_code(err),
                    err_text(err));
    }
    buf_append_lit(
        out, "\n## Reasons\n\nWhy a connection is refused or closed: the text of the close frame and the label in the "
             "metrics. An endpoint can use other close\ncodes (`close_codes`). A connection that is refused "
             "by HTTP gets the status of the error code.\n\n"
             "| reason | error code | HTTP status | close code | meaning |\n| --- | --- | --- | --- | --- |\n");
    for (int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        enum reason reason = (enum reason)i;
        buf_appendf(out, "| `%s` | `%s` | %d | %d | %s |\n", reason_text(reason), err_code(reason_err(reason)),
                    err_http_status(reason_err(reason)), reason_close_code(reason), reason_sentence(reason));
    }
    buf_append_lit(out,
                   "\n## Gaps\n\nWhy a subscriber is told that events may be missing: the reason in a `gap` frame and "
                   "the label in the metrics.\n\n| reason | meaning |\n| --- | --- |\n");
    for (int i = GAP_NONE + 1; i < GAP_COUNT; i++)
        buf_appendf(out, "| `%s` | %s |\n", gap_text((enum gap)i), gap_meaning((enum gap)i));
}

static const struct {
    const char *flag;
    void (*write)(struct buf *out);
    const char *text;
} pages[] = {
    {"--options", options_page, "every option, in Markdown (also without a flag)"},
    {"--json-schema", schema_page, "the JSON Schema of the configuration file"},
    {"--sample", sample_page, "a configuration file with every option commented out"},
    {"--metrics", metrics_reference, "every metric, in Markdown"},
    {"--errors", errors_page, "error codes, close reasons and gaps, in Markdown"},
};
enum { PAGES = sizeof pages / sizeof *pages };

static int print_help(void)
{
    fputs("usage: carillon reference [PAGE]\n\nPrints a reference page to stdout:\n\n", stdout);
    for (size_t i = 0; i < PAGES; i++)
        printf("  %-14s %s\n", pages[i].flag, pages[i].text);
    return CLI_OK;
}

int cli_reference(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : "--options";
    if (argc > 2)
        return cli_usage(argv[0], "one page at a time");
    if (strcmp(wanted, "--help") == 0 || strcmp(wanted, "-h") == 0)
        return print_help();
    for (size_t i = 0; i < PAGES; i++) {
        if (strcmp(wanted, pages[i].flag) != 0)
            continue;
        struct buf out = {0};
        pages[i].write(&out);
        bool written = fwrite(out.ptr, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
        buf_fini(&out);
        return written ? CLI_OK : cli_fail(argv[0], CLI_FAILED, "cannot write to stdout");
    }
    char quoted[ERROR_QUOTE_LEN];
    return cli_usage(argv[0], "there is no page %s", error_quote(str_from_cstr(wanted), quoted));
}
