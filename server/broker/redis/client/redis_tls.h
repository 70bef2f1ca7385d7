/* redis_tls.h - TLS 1.2 or later for connections to Redis. A stream has no socket: the caller passes bytes in and takes
 * bytes out. The certificate of the server is verified, and that it names the host. One thread. */
#ifndef CARILLON_BROKER_REDIS_CLIENT_REDIS_TLS_H
#define CARILLON_BROKER_REDIS_CLIENT_REDIS_TLS_H

#include "common/base/buf.h"
#include "common/base/error.h"

/* Texts are borrowed; "" or NULL: not set. */
struct redis_tls_settings {
    const char *ca;          /* PEM file of authorities to trust; not set: those of the system */
    const char *certificate; /* PEM file of our own, with its chain, for a server that asks for it */
    const char *key;         /* PEM file of its key, without a passphrase */
    const char *name;        /* that certificates must be for, whatever the address; not set: the host of the URL */
    bool insecure;           /* certificates are not verified */
};

/* The settings and keys that all connections share. */
struct redis_tls;

/* Reads the files. ERR_INVALID_REQUEST names the option and the file. */
enum err redis_tls_create(const struct redis_tls_settings *settings, struct redis_tls **out, struct error *error);
void redis_tls_destroy(struct redis_tls *tls);

/* TLS of one connection. Borrows tls for life. create: NULL if OpenSSL has no memory. */
struct redis_tls_stream;

struct redis_tls_stream *redis_tls_stream_create(const struct redis_tls *tls, const char *host);
void redis_tls_stream_destroy(struct redis_tls_stream *stream);

/* Takes bytes that were read, and appends the decrypted ones to out_plain. ERR_UNAVAILABLE: the connection is of no
 * use. The text says why and what to do, without naming the server. */
enum err redis_tls_take(struct redis_tls_stream *stream, struct str bytes, struct buf *out_plain, struct error *error);

/* Appends the bytes to write to out_bytes: of the handshake, or plain encrypted. plain is empty until the handshake is
 * done. */
void redis_tls_give(struct redis_tls_stream *stream, struct str plain, struct buf *out_bytes);

/* The handshake is done. */
bool redis_tls_is_ready(const struct redis_tls_stream *stream);

#endif
