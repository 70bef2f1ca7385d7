/* listen_socket.h - makes listening sockets, or finds those that systemd has passed. Used at start, in the main thread.
 */
#ifndef CARILLON_NET_HTTP_LISTEN_SOCKET_H
#define CARILLON_NET_HTTP_LISTEN_SOCKET_H

#include <sys/socket.h>

#include "common/base/error.h"
#include "common/base/str.h"

/* As listener_bind. On failure no socket is left. */
enum err listen_sockets_open(const char *host, uint16_t port, int *out_fds, size_t max, size_t *out_count,
                             struct error *error);

/* As listener_inherit: fills out_fds with at most max sockets, non-blocking and listening. */
size_t listen_sockets_inherited(const char *name, int *out_fds, size_t max);

/* The descriptors of that name, by the values of LISTEN_FDS and LISTEN_FDNAMES; at most max. Without names the first is
 * "public" and the others "internal". Pure. */
size_t listen_sockets_named(struct str passed, struct str names, struct str name, int *out_fds, size_t max);

/* 0 for another family than IPv4 and IPv6. */
uint16_t listen_socket_port(const struct sockaddr_storage *at);

#endif
