/* tcp_received.h - what the kernel knows of a TCP connection. Apart from the rest because <linux/tcp.h> and
 * <netinet/tcp.h> cannot be had in one file, and only the former tells this. */
#ifndef CARILLON_NET_TCP_RECEIVED_H
#define CARILLON_NET_TCP_RECEIVED_H

#include <stdbool.h>
#include <stdint.h>

/* How many bytes have come on this socket and have been read. False: the kernel does not say. */
bool tcp_received(int fd, uint64_t *out);

#endif
