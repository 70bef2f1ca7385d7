/* connection.h - a TCP or TLS connection to a server, for programs that do one thing at a time: every call blocks, but
 * not past its deadline. Deadlines are in microseconds of the monotonic clock (clock.h). One thread at a time. */
#ifndef CARILLON_CLI_CONNECTION_H
#define CARILLON_CLI_CONNECTION_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "server/cli/url.h"

struct connection;

/* Resolves the host, tries its addresses in order, and for a secure URL does the TLS handshake: version 1.2 or later,
 * the certificate checked for the URL's host against the system's authorities (SSL_CERT_FILE and SSL_CERT_DIR name
 * others). Resolving itself is not bound by the deadline. NULL when there is no connection: *error has
 * ERR_INVALID_REQUEST when the certificate is not accepted, else ERR_UNAVAILABLE. */
struct connection *connection_open(const struct url *url, uint64_t deadline_us, struct error *error);

/* NULL is fine. */
void connection_close(struct connection *connection);

enum connection_result { CONNECTION_OK, CONNECTION_CLOSED, CONNECTION_TIMEOUT, CONNECTION_FAILED };

/* Writes all. Anything but CONNECTION_OK fills *error, and the connection is of no more use. */
enum connection_result connection_write(struct connection *connection, struct str bytes, uint64_t deadline_us,
                                        struct error *error);

/* Waits for bytes and appends what came. CONNECTION_CLOSED: the server has ended its stream. CONNECTION_TIMEOUT:
 * nothing came; reading may go on. All but CONNECTION_OK fill *error. */
enum connection_result connection_read(struct connection *connection, struct buf *out, uint64_t deadline_us,
                                       struct error *error);

#endif
