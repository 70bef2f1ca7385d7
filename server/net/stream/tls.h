/* tls.h - what the public listener shows of itself when it speaks TLS: a certificate with its chain and key, read from
 * PEM files when the settings are made. Counted and immutable; any thread. */
#ifndef CARILLON_NET_STREAM_TLS_H
#define CARILLON_NET_STREAM_TLS_H

#include <openssl/types.h>
#include <stdbool.h>

#include "common/base/error.h"

struct tls_identity;

/* certificate: the server's own first, then the chain; key: without a passphrase. ERR_INVALID_REQUEST names the option
 * and the file, also when the two do not belong together. */
enum err tls_identity_load(const char *certificate, const char *key, struct tls_identity **out, struct error *error);
struct tls_identity *tls_identity_ref(struct tls_identity *identity);
void tls_identity_unref(struct tls_identity *identity);

/* Of an SSL_CTX for servers: TLS 1.2 and 1.3 with forward secrecy and an AEAD (RFC 9325), HTTP/1.1 by ALPN (RFC 7301),
 * no renegotiation, sessions resumed by tickets only. Each handshake shows *shown, which its owner may change between
 * two of them. False: OpenSSL does not do it. */
bool tls_set_up(SSL_CTX *ssl, struct tls_identity **shown);
/* Tickets from now on are of this identity, and can be taken by any SSL_CTX that uses it; those of another are not
 * taken, so that nobody resumes a session with a certificate that has gone. False as above. */
bool tls_use_tickets(SSL_CTX *ssl, const struct tls_identity *identity);

#endif
