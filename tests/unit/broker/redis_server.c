/* redis_server.c - see redis_server.h. */
#include "redis_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"

/* Ports are those of tests/support/reserve.py, below those that the kernel gives to a socket that asks for any. */
enum { ARGS_MAX = 40, READY_TRIES = 3000, PORT_FIRST = 20000, PORT_COUNT = 12000 };

/* Binds the abstract socket that says that the port is ours, as reserve.py does. Returns it, or -1. */
static int hold(int port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int len = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "carillon-test-port-%d", port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool nobody_listens(int port)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool bound = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return bound;
}

/* A port that nobody else takes until the server ends, also while it is down. */
static void reserve_port(struct redis_server *server)
{
    unsigned first = (unsigned)getpid() * 31;
    for (unsigned i = 0; i < PORT_COUNT; i++) {
        server->port = PORT_FIRST + (int)((first + i) % PORT_COUNT);
        server->port_holder = hold(server->port);
        if (server->port_holder < 0)
            continue;
        if (nobody_listens(server->port))
            return;
        close(server->port_holder);
    }
    fail_msg("no port is free");
}

static void spawn(struct redis_server *server, const char *const *more)
{
    char port[16], folder[80];
    snprintf(port, sizeof port, "%d", server->port);
    snprintf(folder, sizeof folder, "%s", server->folder);
    const char *argv[ARGS_MAX] = {"redis-server", "--port", port,    "--bind", "127.0.0.1",  "--save", "",
                                  "--appendonly", "no",     "--dir", folder,   "--loglevel", "warning"};
    size_t argc = 13;
    for (; more && *more && argc < ARGS_MAX - 1; more++)
        argv[argc++] = *more;
    pid_t parent = getpid();
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves nothing behind */
    if (getppid() != parent)
        _exit(1);
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    char *args[ARGS_MAX];
    memcpy(args, argv, sizeof args);
    const char *binary = getenv("REDIS_SERVER_BIN");
    execvp(binary && *binary ? binary : "redis-server", args);
    _exit(127);
}

/* True once the server accepts connections. False if it has ended. */
static bool is_ready(struct redis_server *server)
{
    for (int i = 0; i < READY_TRIES; i++) {
        int status;
        if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
            server->pid = 0;
            if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
                fail_msg("redis-server is not installed");
            return false;
        }
        redisContext *connection = redisConnect("127.0.0.1", server->port);
        bool good = connection && !connection->err;
        redisFree(connection);
        if (good)
            return true;
        poll(NULL, 0, 10);
    }
    return false;
}

void redis_server_start(struct redis_server *server, const char *const *more)
{
    memset(server, 0, sizeof *server);
    snprintf(server->folder, sizeof server->folder, "/tmp/carillon-test-redis-XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    reserve_port(server);
    snprintf(server->url, sizeof server->url, "redis://127.0.0.1:%d", server->port);
    spawn(server, more);
    if (!is_ready(server))
        fail_msg("redis-server did not start");
}

void redis_server_kill(struct redis_server *server)
{
    if (!server->pid)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void redis_server_restart(struct redis_server *server)
{
    redis_server_kill(server);
    spawn(server, NULL);
    assert_true(is_ready(server));
}

void redis_server_end(struct redis_server *server)
{
    redis_server_kill(server);
    close(server->port_holder);
    rmdir(server->folder);
}

void redis_server_pause(struct redis_server *server, bool paused)
{
    assert_int_equal(kill(server->pid, paused ? SIGSTOP : SIGCONT), 0);
}

void redis_server_command(const struct redis_server *server, char *out, size_t size, int argc, const char **argv)
{
    redisContext *connection = redisConnect("127.0.0.1", server->port);
    assert_true(connection && !connection->err);
    redisReply *reply = redisCommandArgv(connection, argc, argv, NULL);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_INTEGER)
        snprintf(out, size, "%lld", reply->integer);
    else
        snprintf(out, size, "%s", reply->str ? reply->str : "");
    freeReplyObject(reply);
    redisFree(connection);
}
