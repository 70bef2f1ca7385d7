/* redis_tls.h - TLS for connections to Redis, without a socket: what comes in is taken, what has to go out is given.
 * TLS 1.2 or later; the server's certificate is verified, and that it is the host's. One thread. */
#ifndef CARILLON_BROKER_REDIS_CLIENT_REDIS_TLS_H
#define CARILLON_BROKER_REDIS_CLIENT_REDIS_TLS_H

#include "common/base/buf.h"
#include "common/base/error.h"

/* Texts are borrowed; "" or NULL: not set. */
struct redis_tls_settings {
    const char *ca;          /* PEM file of authorities to trust; not set: those of the system */
    const char *certificate; /* PEM file of our own, with its chain, for a server that asks for it */
    const char *key;         /* PEM file of its key, without a passphrase */
    const char *name;        /* that certificates must be for, whatever the address; not set: the host as it is given */
    bool insecure;           /* nothing is verified */
};

/* What all connections share. */
struct redis_tls;

/* Reads the files. ERR_INVALID_REQUEST names the option and the file. */
enum err redis_tls_create(const struct redis_tls_settings *settings, struct redis_tls **out, struct error *error);
void redis_tls_destroy(struct redis_tls *tls);

/* One connection's. Borrows tls for its life. create: NULL if OpenSSL has no memory. */
struct redis_tls_stream;

struct redis_tls_stream *redis_tls_stream_create(const struct redis_tls *tls, const char *host);
void redis_tls_stream_destroy(struct redis_tls_stream *stream);

/* Takes what has been read, and appends to out_plain what it says. ERR_UNAVAILABLE: the connection is of no use; the
 * text says why and what to do, without naming the server. */
enum err redis_tls_take(struct redis_tls_stream *stream, struct str bytes, struct buf *out_plain, struct error *error);

/* Appends to out_bytes what has to be written: the handshake's part, or plain sealed. plain is empty until ready. */
void redis_tls_give(struct redis_tls_stream *stream, struct str plain, struct buf *out_bytes);

/* The handshake is done. */
bool redis_tls_is_ready(const struct redis_tls_stream *stream);

#endif
