/* tls_stream.h - TLS of one connection of a client, without a socket: the caller passes bytes in and takes bytes out.
 * The certificate of the server is verified as the SSL_CTX says, and that it is for the host. One thread. */
#ifndef CARILLON_TLS_TLS_STREAM_H
#define CARILLON_TLS_TLS_STREAM_H

#include <openssl/types.h>

#include "common/base/buf.h"

struct tls_stream;

/* Shares the SSL_CTX. NULL if OpenSSL has no memory, or does not take the name of the host. */
struct tls_stream *tls_stream_create(SSL_CTX *context, const char *host);
/* NULL is fine. */
void tls_stream_destroy(struct tls_stream *stream);

/* The handshake is done. */
bool tls_stream_is_ready(const struct tls_stream *stream);

enum tls_taken {
    TLS_TAKEN,
    TLS_ENDED,  /* the server has closed the connection (close_notify) */
    TLS_FAILED, /* tls_stream_failure says why */
};

/* Takes bytes that were read, and appends the decrypted ones to out_plain. After anything else than TLS_TAKEN the
 * connection is of no use. */
enum tls_taken tls_stream_take(struct tls_stream *stream, struct str bytes, struct buf *out_plain);

/* Appends the bytes to write to out_bytes: of the handshake, or plain encrypted. plain is empty until the handshake is
 * done. */
void tls_stream_give(struct tls_stream *stream, struct str plain, struct buf *out_bytes);

/* Appends what tells the server that nothing more is written (close_notify). */
void tls_stream_end(struct tls_stream *stream, struct buf *out_bytes);

/* Why TLS has failed. */
struct tls_failure {
    int reason;       /* of OpenSSL: SSL_R_... */
    const char *text; /* of OpenSSL; static */
    bool untrusted;   /* the certificate was refused, and certificate says why */
    bool other_host;  /* it was refused because it is for another host */
    const char *certificate;
};

/* Call at once after TLS_FAILED. */
struct tls_failure tls_stream_failure(const struct tls_stream *stream);

#endif
