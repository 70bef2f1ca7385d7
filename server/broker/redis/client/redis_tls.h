/* redis_tls.h - TLS 1.2 or later for connections to Redis. The certificate of the server is verified, and that it names
 * the host. One thread. */
#ifndef CARILLON_BROKER_REDIS_CLIENT_REDIS_TLS_H
#define CARILLON_BROKER_REDIS_CLIENT_REDIS_TLS_H

#include "common/base/error.h"
#include "common/tls/tls_stream.h"

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

/* TLS of one connection to host. NULL if OpenSSL has no memory, or does not take the name. */
struct tls_stream *redis_tls_begin(const struct redis_tls *tls, const char *host);
/* Why it has failed (TLS_FAILED), and what to do, without naming the server. ERR_UNAVAILABLE. */
enum err redis_tls_explain(const struct tls_stream *stream, struct error *error);

#endif
