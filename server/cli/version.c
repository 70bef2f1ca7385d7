/* version.c - carillon version: what a bug report should begin with. */
#include "server/app/version.h"

#include <cjson/cJSON.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <uv.h>

#include "server/cli/cli.h"

static const char usage[] = "usage: carillon version\n\n"
                            "Prints the version of carillon, the versions of the libraries it was built with, and of\n"
                            "those that can tell, the version it runs with.\n\n"
                            "example:\n"
                            "  carillon version\n";

int cli_version(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (c != 'h')
            return cli_help_hint(argv[0]);
        fputs(usage, stdout);
        return CLI_OK;
    }
    if (optind < argc)
        return cli_usage(argv[0], "no arguments are expected; found \"%s\"", argv[optind]);
    /* Few files include libwebsockets (server/net), hiredis (server/broker), libjwt (common/token) and libcurl
     * (server/outbound, wire.c): their versions come from the build. */
    printf("carillon %s\n", CARILLON_VERSION);
    printf("built with: %s\n", CARILLON_LIBRARIES);
    printf("running with: libuv %s, OpenSSL %s, cJSON %s\n", uv_version_string(),
           OpenSSL_version(OPENSSL_VERSION_STRING), cJSON_Version());
    return CLI_OK;
}
