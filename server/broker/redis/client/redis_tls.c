/* redis_tls.c - see redis_tls.h. OpenSSL reads from one memory BIO and writes to another. */
#include "server/broker/redis/client/redis_tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/tls/tls_peer.h"

enum { READ_BYTES = 16384 }; /* the most one TLS record holds */

struct redis_tls {
    SSL_CTX *ssl;
    char *name; /* "": the host of the URL */
    bool insecure;
};

struct redis_tls_stream {
    SSL *ssl;
    BIO *in;  /* owned by ssl */
    BIO *out; /* owned by ssl */
};

/* ---- settings ---- */

static bool is_set(const char *text)
{
    return text && *text;
}

/* OpenSSL would ask the terminal for a passphrase. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    return -1;
}

static enum err refuse_file(const char *option, const char *path, const char *what, struct error *error)
{
    const char *why = access(path, R_OK) == 0 ? what : strerror(errno);
    ERR_clear_error();
    return error_set(error, ERR_INVALID_REQUEST, "%s: cannot use %s: %s", option, path, why);
}

static enum err load_identity(SSL_CTX *ssl, const struct redis_tls_settings *settings, struct error *error)
{
    if (!is_set(settings->certificate))
        return ERR_NONE;
    if (SSL_CTX_use_certificate_chain_file(ssl, settings->certificate) != 1)
        return refuse_file("redis.tls_certificate", settings->certificate, "it has no certificate in PEM form", error);
    if (SSL_CTX_use_PrivateKey_file(ssl, settings->key, SSL_FILETYPE_PEM) != 1)
        return refuse_file("redis.tls_key", settings->key,
                           "it has no private key of redis.tls_certificate in PEM form, readable without a passphrase",
                           error);
    return ERR_NONE;
}

static enum err load_authorities(SSL_CTX *ssl, const struct redis_tls_settings *settings, struct error *error)
{
    if (!is_set(settings->ca)) {
        SSL_CTX_set_default_verify_paths(ssl);
        return ERR_NONE;
    }
    if (SSL_CTX_load_verify_locations(ssl, settings->ca, NULL) != 1)
        return refuse_file("redis.tls_ca", settings->ca, "it has no certificate in PEM form", error);
    return ERR_NONE;
}

enum err redis_tls_create(const struct redis_tls_settings *settings, struct redis_tls **out, struct error *error)
{
    struct redis_tls *tls = xcalloc(1, sizeof *tls);
    tls->name = xstrdup(settings->name ? settings->name : "");
    tls->insecure = settings->insecure;
    tls->ssl = SSL_CTX_new(TLS_client_method());
    enum err err = tls->ssl && SSL_CTX_set_min_proto_version(tls->ssl, TLS1_2_VERSION) == 1
                       ? ERR_NONE
                       : error_set(error, ERR_INTERNAL_ERROR, "redis.url: OpenSSL does not start");
    if (err == ERR_NONE) {
        SSL_CTX_set_default_passwd_cb(tls->ssl, no_passphrase);
        SSL_CTX_set_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_verify(tls->ssl, tls->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
        err = load_authorities(tls->ssl, settings, error);
    }
    if (err == ERR_NONE)
        err = load_identity(tls->ssl, settings, error);
    if (err) {
        redis_tls_destroy(tls);
        return err;
    }
    *out = tls;
    return ERR_NONE;
}

void redis_tls_destroy(struct redis_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->ssl);
    free(tls->name);
    free(tls);
}

/* ---- a connection ---- */

struct redis_tls_stream *redis_tls_stream_create(const struct redis_tls *tls, const char *host)
{
    struct redis_tls_stream *stream = xcalloc(1, sizeof *stream);
    stream->ssl = SSL_new(tls->ssl);
    stream->in = BIO_new(BIO_s_mem());
    stream->out = BIO_new(BIO_s_mem());
    if (!stream->ssl || !stream->in || !stream->out) {
        BIO_free(stream->in);
        BIO_free(stream->out);
        redis_tls_stream_destroy(stream);
        return NULL;
    }
    BIO_set_mem_eof_return(stream->in, -1); /* empty is not the end */
    SSL_set_bio(stream->ssl, stream->in, stream->out);
    SSL_set_connect_state(stream->ssl);
    if (!tls_peer_expect(stream->ssl, *tls->name ? tls->name : host)) {
        redis_tls_stream_destroy(stream);
        return NULL;
    }
    return stream;
}

void redis_tls_stream_destroy(struct redis_tls_stream *stream)
{
    if (!stream)
        return;
    SSL_free(stream->ssl);
    free(stream);
}

bool redis_tls_is_ready(const struct redis_tls_stream *stream)
{
    return SSL_is_init_finished(stream->ssl);
}

static enum err explain(const struct redis_tls_stream *stream, struct error *error)
{
    static const struct {
        int reason;
        const char *text;
    } known[] = {
        {SSL_R_WRONG_VERSION_NUMBER, "does not speak TLS there; redis:// instead of rediss:// is without TLS"},
        {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED,
         "wants a certificate of this node: set redis.tls_certificate and redis.tls_key"},
        {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
         "refused the TLS handshake; it may want a certificate of this node (redis.tls_certificate)"},
        {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "does not trust the certificate in redis.tls_certificate"},
    };
    unsigned long code = ERR_peek_last_error();
    int reason = ERR_GET_REASON(code);
    long verdict = SSL_get_verify_result(stream->ssl);
    ERR_clear_error();
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED &&
        (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH))
        return error_set(error, ERR_UNAVAILABLE,
                         "shows a certificate for another host; redis.tls_name sets the name it must be for");
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return error_set(error, ERR_UNAVAILABLE,
                         "shows a certificate that is not trusted (%s); redis.tls_ca sets whom to trust",
                         X509_verify_cert_error_string(verdict));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (reason == known[i].reason)
            return error_set(error, ERR_UNAVAILABLE, "%s", known[i].text);
    const char *text = ERR_reason_error_string(code);
    return error_set(error, ERR_UNAVAILABLE, "TLS failed: %s", text ? text : "no reason given");
}

enum err redis_tls_take(struct redis_tls_stream *stream, struct str bytes, struct buf *out_plain, struct error *error)
{
    ERR_clear_error();
    if (bytes.len && BIO_write(stream->in, bytes.ptr, (int)bytes.len) != (int)bytes.len)
        return error_set(error, ERR_UNAVAILABLE, "TLS failed: OpenSSL has no memory");
    for (;;) {
        size_t got = 0;
        buf_reserve(out_plain, READ_BYTES);
        int result = SSL_read_ex(stream->ssl, out_plain->ptr + out_plain->len, READ_BYTES, &got);
        out_plain->len += got;
        if (result == 1)
            continue;
        switch (SSL_get_error(stream->ssl, result)) {
        case SSL_ERROR_WANT_READ: return ERR_NONE;
        case SSL_ERROR_ZERO_RETURN: return error_set(error, ERR_UNAVAILABLE, "the server closed the connection");
        default: return explain(stream, error);
        }
    }
}

void redis_tls_give(struct redis_tls_stream *stream, struct str plain, struct buf *out_bytes)
{
    ERR_clear_error();
    if (!redis_tls_is_ready(stream))
        SSL_do_handshake(stream->ssl); /* an error shows when the next bytes are taken */
    for (size_t wrote; plain.len; plain = str_skip(plain, wrote))
        if (SSL_write_ex(stream->ssl, plain.ptr, plain.len, &wrote) != 1)
            break; /* closed by the peer: reading tells */
    char *bytes;
    long len = BIO_get_mem_data(stream->out, &bytes);
    if (len > 0)
        buf_append(out_bytes, str_from(bytes, (size_t)len));
    (void)BIO_reset(stream->out);
    ERR_clear_error();
}
