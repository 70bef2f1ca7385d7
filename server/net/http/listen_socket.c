/* listen_socket.c - see listen_socket.h. */
#include "server/net/http/listen_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    FIRST_PASSED_FD = 3,
    PASSED_MAX = 4096,    /* descriptors that are looked at */
    PASSED_USED_MAX = 64, /* of one name */
    HOST_MAX = 255,
};

uint16_t listen_socket_port(const struct sockaddr_storage *at)
{
    if (at->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)at)->sin_port);
    if (at->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)at)->sin6_port);
    return 0;
}

static void set_port(struct sockaddr *at, uint16_t port)
{
    if (at->sa_family == AF_INET)
        ((struct sockaddr_in *)(void *)at)->sin_port = htons(port);
    else if (at->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)at)->sin6_port = htons(port);
}

/* -1 with errno. */
static int open_one(const struct addrinfo *info)
{
    int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const struct sockaddr_in6 *at = (const struct sockaddr_in6 *)(const void *)info->ai_addr;
    if (info->ai_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&at->sin6_addr)) /* IPv4 has a socket of its own */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof at;
    getsockname(fd, (struct sockaddr *)&at, &len);
    return listen_socket_port(&at);
}

/* Sockets for the addresses of one family (AF_UNSPEC: of both) that this machine has; the port of the first one is that
 * of all. */
static enum err open_family(const char *host, int family, uint16_t *port, int *out_fds, size_t max, size_t *count,
                            struct error *error)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char service[8];
    enum err err = ERR_NONE;
    snprintf(service, sizeof service, "%u", *port);
    int failed = getaddrinfo(*host ? host : NULL, service, &hints, &found);
    if (failed)
        return error_set(error, ERR_UNAVAILABLE, "cannot listen on host \"%s\": %s", host, gai_strerror(failed));
    for (const struct addrinfo *info = found; info && *count < max && err == ERR_NONE; info = info->ai_next) {
        if (info->ai_family != AF_INET && info->ai_family != AF_INET6)
            continue;
        set_port(info->ai_addr, *port);
        int fd = open_one(info);
        if (fd >= 0) {
            out_fds[(*count)++] = fd;
            *port = port_of(fd);
        } else if (errno != EAFNOSUPPORT &&
                   errno != EADDRNOTAVAIL) { /* a machine without IPv6 has "::1" all the same */
            err = error_set(error, ERR_UNAVAILABLE, "cannot listen on %s port %u: %s", *host ? host : "all addresses",
                            *port, errno == EADDRINUSE ? "another program listens there" : strerror(errno));
        }
    }
    freeaddrinfo(found);
    return err;
}

/* Without the brackets that an IPv6 address has in a URL. */
static void copy_host(const char *host, char out[HOST_MAX + 1])
{
    size_t len = strlen(host);
    bool in_brackets = len > 2 && host[0] == '[' && host[len - 1] == ']';
    snprintf(out, HOST_MAX + 1, "%.*s", (int)(in_brackets ? len - 2 : len), host + in_brackets);
}

enum err listen_sockets_open(const char *host, uint16_t port, int *out_fds, size_t max, size_t *out_count,
                             struct error *error)
{
    char name[HOST_MAX + 1];
    copy_host(host, name);
    bool all = strcmp(name, "*") == 0 || strcmp(name, "::") == 0;
    const char *which = all ? "" : name;
    bool six_first = strcmp(name, "::") == 0; /* the first one is what the log tells */
    size_t count = 0;
    enum err err = open_family(which, six_first ? AF_INET6 : AF_UNSPEC, &port, out_fds, max, &count, error);
    if (err == ERR_NONE && six_first)
        err = open_family(which, AF_INET, &port, out_fds, max, &count, error);
    if (err == ERR_NONE && count == 0)
        err = error_set(error, ERR_UNAVAILABLE, "cannot listen on %s port %u: none of its addresses is this machine's",
                        host, port);
    while (err && count > 0)
        close(out_fds[--count]);
    *out_count = count;
    return err;
}

static bool prepare_passed(int fd)
{
    int listening = 0;
    socklen_t len = sizeof listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening)
        return false;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return true;
}

size_t listen_sockets_named(struct str passed, struct str names, struct str name, int *out_fds, size_t max)
{
    bool named = names.len > 0;
    size_t count = 0;
    uint64_t all;
    if (!str_to_u64(passed, &all))
        return 0;
    if (all > PASSED_MAX)
        all = PASSED_MAX;
    for (uint64_t i = 0; i < all && count < max; i++) {
        struct str this_name = str_from_cstr(i == 0 ? "public" : "internal");
        if (named)
            this_name = names.ptr ? str_split(&names, ':') : STR("");
        if (str_eq(this_name, name))
            out_fds[count++] = FIRST_PASSED_FD + (int)i;
    }
    return count;
}

size_t listen_sockets_inherited(const char *name, int *out_fds, size_t max)
{
    int fds[PASSED_USED_MAX];
    uint64_t pid;
    size_t count = 0;
    if (!str_to_u64(str_from_cstr(getenv("LISTEN_PID")), &pid) || pid != (uint64_t)getpid())
        return 0;
    size_t found = listen_sockets_named(str_from_cstr(getenv("LISTEN_FDS")), str_from_cstr(getenv("LISTEN_FDNAMES")),
                                        str_from_cstr(name), fds, PASSED_USED_MAX);
    for (size_t i = 0; i < found && count < max; i++)
        if (prepare_passed(fds[i]))
            out_fds[count++] = fds[i];
    return count;
}
