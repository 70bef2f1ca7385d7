/* version.c - carillon version: what a bug report should begin with. */
#include "server/app/version.h"

#include <cjson/cJSON.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <uv.h>

#include "server/app/build.h"
#include "server/cli/cli.h"

static const char usage[] =
    "usage: carillon version [--json]\n\n"
    "Prints the version of carillon, the commit it was built from, the versions of the libraries\n"
    "it was built with, and of those that can tell, the version it runs with.\n\n"
    "  --json   one JSON object: version, commit, libraries and features\n\n"
    "example:\n"
    "  carillon version --json\n";

static int print_json(const char *command)
{
    struct buf out = {0};
    build_describe(&out);
    buf_append_char(&out, '\n');
    bool written = fwrite(out.ptr, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
    buf_fini(&out);
    return written ? CLI_OK : cli_fail(command, CLI_FAILED, "cannot write to stdout");
}

int cli_version(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {"json", no_argument, NULL, 'j'}, {0}};
    bool json = false;
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (c == 'h') {
            fputs(usage, stdout);
            return CLI_OK;
        }
        if (c != 'j')
            return cli_help_hint(argv[0]);
        json = true;
    }
    if (optind < argc)
        return cli_usage(argv[0], "no arguments are expected; found \"%s\"", argv[optind]);
    if (json)
        return print_json(argv[0]);
    /* Few files include libwebsockets (server/net), hiredis (server/broker), libjwt (common/token) and libcurl
     * (server/outbound, wire.c): their versions come from the build. */
    printf("carillon %s\n", CARILLON_VERSION);
    printf("commit: %s\n", build_commit());
    printf("built with: %s\n", CARILLON_LIBRARIES);
    printf("running with: libuv %s, OpenSSL %s, cJSON %s\n", uv_version_string(),
           OpenSSL_version(OPENSSL_VERSION_STRING), cJSON_Version());
    return CLI_OK;
}
