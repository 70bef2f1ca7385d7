/* listener.h - listening sockets on the main loop. A listener accepts while there is room. It hands each connection to
 * the worker that has the fewest. One thread. */
#ifndef CARILLON_NET_HTTP_LISTENER_H
#define CARILLON_NET_HTTP_LISTENER_H

#include "server/net/http/connection_set.h"

struct listener;

struct listener_options {
    uv_loop_t *loop;
    bool internal;                         /* the API serves its connections; they have limits of their own */
    struct connection_set *const *workers; /* borrowed, with all that follows, for the listener's life */
    size_t worker_count;
    struct metrics *metrics; /* of the main loop's thread */
};

/* Listens nowhere yet. */
struct listener *listener_create(const struct listener_options *options, struct net_settings *settings);
/* New limits. Takes a reference. */
void listener_configure(struct listener *listener, struct net_settings *settings);

/* Binds to all addresses of the host ("", "*" or "::": all of this machine's, IPv6 and IPv4; an IPv6 address may be in
 * brackets). port 0: a free one, the same for all addresses. ERR_UNAVAILABLE names the address and the system's reason.
 */
enum err listener_bind(struct listener *listener, const char *host, uint16_t port, struct error *error);

/* Takes over the sockets that systemd passed under this name (LISTEN_FDS, LISTEN_FDNAMES; without names the first
 * socket is "public" and the second "internal"). Returns how many. */
size_t listener_inherit(struct listener *listener, const char *name);

/* Accepting begins. */
void listener_start(struct listener *listener);

/* Writes "127.0.0.1:8000" or "[::1]:8000" of the first socket. Returns out. */
enum { LISTENER_ADDRESS_LEN = ADDRESS_TEXT_LEN + 8 };
const char *listener_address(const struct listener *listener, char out[LISTENER_ADDRESS_LEN + 1]);
uint16_t listener_port(const struct listener *listener);

/* Accepts the connections that the kernel has queued, then closes the sockets. So no client that connected is reset. */
void listener_stop(struct listener *listener);
/* Runs the loop until its handles are closed. Call outside of the loop's callbacks. */
void listener_destroy(struct listener *listener);

#endif
