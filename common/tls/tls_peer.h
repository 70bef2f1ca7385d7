/* tls_peer.h - whose certificate a TLS client accepts. OpenSSL checks the chain by itself, but not the name in it. */
#ifndef CARILLON_TLS_TLS_PEER_H
#define CARILLON_TLS_TLS_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* The peer's certificate must be for host: a DNS name, or an IPv4 or IPv6 address without brackets. A name is also sent
 * in the handshake (SNI; RFC 6066, section 3: names, not addresses). Called before the handshake. False: OpenSSL does
 * not take the host, and the connection must not be used, because any valid certificate would do. */
bool tls_peer_expect(SSL *ssl, const char *host);

#endif
