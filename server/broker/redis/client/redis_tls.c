/* redis_tls.c - see redis_tls.h. */
#include "server/broker/redis/client/redis_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include "common/base/alloc.h"

struct redis_tls {
    SSL_CTX *ssl;
    char *name; /* "": the host of the URL */
    bool insecure;
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

struct tls_stream *redis_tls_begin(const struct redis_tls *tls, const char *host)
{
    return tls_stream_create(tls->ssl, *tls->name ? tls->name : host);
}

enum err redis_tls_explain(const struct tls_stream *stream, struct error *error)
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
    const struct tls_failure failure = tls_stream_failure(stream);
    if (failure.other_host)
        return error_set(error, ERR_UNAVAILABLE,
                         "shows a certificate for another host; redis.tls_name sets the name it must be for");
    if (failure.untrusted)
        return error_set(error, ERR_UNAVAILABLE,
                         "shows a certificate that is not trusted (%s); redis.tls_ca sets whom to trust",
                         failure.certificate);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (failure.reason == known[i].reason)
            return error_set(error, ERR_UNAVAILABLE, "%s", known[i].text);
    return error_set(error, ERR_UNAVAILABLE, "TLS failed: %s", failure.text);
}
