/* tls.h - what the public listener shows of itself when it speaks TLS: a certificate with its chain and key, read from
 * PEM files when the settings are made. Counted and immutable; any thread. */
#ifndef CARILLON_NET_TLS_H
#define CARILLON_NET_TLS_H

#include <openssl/types.h>

#include "common/base/error.h"

struct tls_identity;

/* certificate: the server's own first, then the chain; key: without a passphrase. ERR_INVALID_REQUEST names the option
 * and the file, also when the two do not belong together. */
enum err tls_identity_load(const char *certificate, const char *key, struct tls_identity **out, struct error *error);
struct tls_identity *tls_identity_ref(struct tls_identity *identity);
void tls_identity_unref(struct tls_identity *identity);

/* From the next connection on, those of this SSL_CTX are shown the identity, speak TLS 1.2 or later, and can resume
 * sessions of any other SSL_CTX with it. In the thread that makes those connections. */
enum err tls_identity_use(const struct tls_identity *identity, SSL_CTX *ssl, struct error *error);

#endif
