/* wire.h - a TCP or TLS connection to a server, for programs that do one thing at a time: every call blocks, but
 * not past its deadline. Deadlines are in microseconds of the monotonic clock (clock.h). One thread at a time. */
#ifndef CARILLON_CLI_WIRE_H
#define CARILLON_CLI_WIRE_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "server/cli/url.h"

struct wire;

/* Resolves the host, tries its addresses in order, and for a secure URL does the TLS handshake: version 1.2 or later,
 * the certificate checked for the URL's host against the system's authorities (SSL_CERT_FILE and SSL_CERT_DIR name
 * others). Resolving itself is not bound by the deadline. NULL when there is no connection: *error has
 * ERR_INVALID_REQUEST when the certificate is not accepted, else ERR_UNAVAILABLE. */
struct wire *wire_open(const struct url *url, uint64_t deadline_us, struct error *error);

/* NULL is fine. */
void wire_close(struct wire *wire);

/* From now on a call that waits also ends, with WIRE_UNHEARD, when fd is a pipe or socket that nobody reads any
 * more. */
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

/* Waits for bytes and appends what came. WIRE_CLOSED: the server has ended its stream. WIRE_TIMEOUT:
 * nothing came; reading may go on. All but WIRE_OK fill *error. */
enum wire_result wire_read(struct wire *wire, struct buf *out, uint64_t deadline_us, struct error *error);

#endif
