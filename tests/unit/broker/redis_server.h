/* redis_server.h - a real redis-server for one test. It has a free port of the loopback and a folder of its own, and is
 * ended by its pid. */
#ifndef CARILLON_TESTS_BROKER_REDIS_SERVER_H
#define CARILLON_TESTS_BROKER_REDIS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct redis_server {
    pid_t pid; /* 0: not running */
    int port;
    int port_holder; /* descriptor that keeps the port from other tests */
    char folder[64];
    char url[64];
};

/* Picks a port and starts the server with further arguments. NULL ends the list, which may be NULL itself. */
void redis_server_start(struct redis_server *server, const char *const *more);
/* Kills it and starts an empty one on the same port. */
void redis_server_kill(struct redis_server *server);
void redis_server_restart(struct redis_server *server);
/* Kills it and removes its folder. */
void redis_server_end(struct redis_server *server);
void redis_server_pause(struct redis_server *server, bool paused);

/* Sends one command by a blocking connection of its own. out gets the answer's text, or its number. */
void redis_server_command(const struct redis_server *server, char *out, size_t size, int argc, const char **argv);
#define REDIS_RUN(server, out, ...)                                                                                    \
    redis_server_command((server), (out), sizeof(out), (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),  \
                         (const char *[]){__VA_ARGS__})

#endif
