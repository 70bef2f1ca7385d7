/* wire.h - a TCP or TLS connection to a server, for programs that do one thing at a time. Every call blocks, until its
 * deadline at most. Deadlines are in microseconds of the monotonic clock (clock.h). One thread at a time. */
#ifndef CARILLON_CLI_WIRE_H
#define CARILLON_CLI_WIRE_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/protocol/url.h"

struct wire;

/* Resolves the host and tries its addresses, IPv6 and IPv4 side by side. For a secure URL it then does the TLS
 * handshake. curl_handle.h has the settings. Returns NULL when there is no connection. *error then has
 * ERR_INVALID_REQUEST when the certificate is not accepted, else ERR_UNAVAILABLE. */
struct wire *wire_open(const struct url *url, uint64_t deadline_us, struct error *error);

/* NULL is fine. */
void wire_close(struct wire *wire);

/* Watches fd, a pipe or socket. When nobody reads it any more, a call that waits returns WIRE_UNHEARD. */
void wire_watch_output(struct wire *wire, int fd);

enum wire_result {
    WIRE_OK,
    WIRE_CLOSED,
    WIRE_TIMEOUT,
    WIRE_UNHEARD,
    WIRE_FAILED,
};

/* Writes all. Anything but WIRE_OK fills *error, and the connection is of no more use. */
enum wire_result wire_write(struct wire *wire, struct str bytes, uint64_t deadline_us, struct error *error);

/* Waits for bytes and appends what came. WIRE_CLOSED: the server has ended its stream. WIRE_TIMEOUT: nothing came, and
 * reading may go on. All but WIRE_OK fill *error. */
enum wire_result wire_read(struct wire *wire, struct buf *out, uint64_t deadline_us, struct error *error);

#endif
