/* bench.c - carillon bench: hands over to the load generator, the program carillon-bench (bench/load). */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/cli/cli.h"

#define PROGRAM "carillon-bench"

/* The path of the load generator beside this program. False: the kernel does not say where this program is. */
static bool find_neighbour(char path[PATH_MAX])
{
    ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (len <= 0)
        return false;
    path[len] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash || slash + sizeof "/" PROGRAM > path + PATH_MAX)
        return false;
    memcpy(slash + 1, PROGRAM, sizeof PROGRAM);
    return true;
}

int cli_bench(int argc, char **argv)
{
    char path[PATH_MAX];
    if (find_neighbour(path))
        execv(path, argv);
    execvp(PROGRAM, argv);
    return cli_fail(argv[0], CLI_FAILED,
                    "cannot start " PROGRAM ", the load generator: %s. It is a program of its own, built and installed "
                    "beside carillon; the container image does not have it",
                    strerror(errno));
}
