/* tls.h - the TLS identity of the public listener: a certificate with its chain and key. It is read from PEM files when
 * the settings are made. Counted and immutable; any thread. */
#ifndef CARILLON_NET_STREAM_TLS_H
#define CARILLON_NET_STREAM_TLS_H

#include <openssl/types.h>
#include <stdbool.h>

#include "common/base/error.h"

struct tls_identity;

/* certificate: a file with the server's certificate first, then the chain. key: a file without a passphrase.
 * ERR_INVALID_REQUEST names the option and the file, also when the key does not fit the certificate. */
enum err tls_identity_load(const char *certificate, const char *key, struct tls_identity **out, struct error *error);
struct tls_identity *tls_identity_ref(struct tls_identity *identity);
void tls_identity_unref(struct tls_identity *identity);

/* Sets up an SSL_CTX for servers: TLS 1.2 and 1.3 with forward secrecy and an AEAD (RFC 9325), HTTP/1.1 by ALPN (RFC
 * 7301), no renegotiation, sessions resumed only by tickets. Each handshake shows *shown, which its owner may change
 * between handshakes. False: OpenSSL refused a setting. */
bool tls_set_up(SSL_CTX *ssl, struct tls_identity **shown);
/* New tickets belong to this identity. Every SSL_CTX that uses the identity accepts them. Tickets of another identity
 * are not accepted, so that no session is resumed whose certificate has been replaced. False as above. */
bool tls_use_tickets(SSL_CTX *ssl, const struct tls_identity *identity);

#endif
