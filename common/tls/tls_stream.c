/* tls_stream.c - see tls_stream.h. OpenSSL reads from one memory BIO and writes to another. */
#include "common/tls/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/base/alloc.h"
#include "common/tls/tls_peer.h"

enum { READ_BYTES = 16384 }; /* the most one TLS record holds */

struct tls_stream {
    SSL *ssl;
    BIO *in;  /* owned by ssl */
    BIO *out; /* owned by ssl */
};

struct tls_stream *tls_stream_create(SSL_CTX *context, const char *host)
{
    struct tls_stream *stream = xcalloc(1, sizeof *stream);
    stream->ssl = SSL_new(context);
    stream->in = BIO_new(BIO_s_mem());
    stream->out = BIO_new(BIO_s_mem());
    if (!stream->ssl || !stream->in || !stream->out) {
        BIO_free(stream->in);
        BIO_free(stream->out);
        tls_stream_destroy(stream);
        return NULL;
    }
    BIO_set_mem_eof_return(stream->in, -1); /* empty is not the end */
    SSL_set_bio(stream->ssl, stream->in, stream->out);
    SSL_set_connect_state(stream->ssl);
    if (!tls_peer_expect(stream->ssl, host)) {
        tls_stream_destroy(stream);
        return NULL;
    }
    return stream;
}

void tls_stream_destroy(struct tls_stream *stream)
{
    if (!stream)
        return;
    SSL_free(stream->ssl);
    free(stream);
}

bool tls_stream_is_ready(const struct tls_stream *stream)
{
    return SSL_is_init_finished(stream->ssl);
}

enum tls_taken tls_stream_take(struct tls_stream *stream, struct str bytes, struct buf *out_plain)
{
    ERR_clear_error();
    if (bytes.len && BIO_write(stream->in, bytes.ptr, (int)bytes.len) != (int)bytes.len)
        return TLS_FAILED;
    for (;;) {
        size_t got = 0;
        buf_reserve(out_plain, READ_BYTES);
        int result = SSL_read_ex(stream->ssl, out_plain->ptr + out_plain->len, READ_BYTES, &got);
        out_plain->len += got;
        if (result == 1)
            continue;
        switch (SSL_get_error(stream->ssl, result)) {
        case SSL_ERROR_WANT_READ: return TLS_TAKEN;
        case SSL_ERROR_ZERO_RETURN: return TLS_ENDED;
        default: return TLS_FAILED;
        }
    }
}

static void take_output(struct tls_stream *stream, struct buf *out_bytes)
{
    char *bytes;
    long len = BIO_get_mem_data(stream->out, &bytes);
    if (len > 0)
        buf_append(out_bytes, str_from(bytes, (size_t)len));
    (void)BIO_reset(stream->out);
    ERR_clear_error();
}

void tls_stream_give(struct tls_stream *stream, struct str plain, struct buf *out_bytes)
{
    ERR_clear_error();
    if (!tls_stream_is_ready(stream))
        SSL_do_handshake(stream->ssl); /* an error shows when the next bytes are taken */
    for (size_t wrote; plain.len; plain = str_skip(plain, wrote))
        if (SSL_write_ex(stream->ssl, plain.ptr, plain.len, &wrote) != 1)
            break; /* closed by the peer: reading tells */
    take_output(stream, out_bytes);
}

void tls_stream_end(struct tls_stream *stream, struct buf *out_bytes)
{
    ERR_clear_error();
    if (tls_stream_is_ready(stream))
        SSL_shutdown(stream->ssl);
    take_output(stream, out_bytes);
}

struct tls_failure tls_stream_failure(const struct tls_stream *stream)
{
    unsigned long code = ERR_peek_last_error();
    long verdict = SSL_get_verify_result(stream->ssl);
    struct tls_failure failure = {.reason = ERR_GET_REASON(code), .text = ERR_reason_error_string(code)};
    failure.untrusted = failure.reason == SSL_R_CERTIFICATE_VERIFY_FAILED;
    failure.other_host =
        failure.untrusted && (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH);
    failure.certificate = X509_verify_cert_error_string(verdict);
    if (!failure.text)
        failure.text = "no reason given";
    ERR_clear_error();
    return failure;
}
