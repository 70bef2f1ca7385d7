/* tls.c - see tls.h. */
#include "server/net/stream/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"

enum { TICKET_KEY_LEN = 80 }; /* what SSL_CTX_set_tlsext_ticket_keys wants */

/* Forward secrecy and an AEAD for all of them (RFC 9325, 4.2). TLS 1.3 has no others. */
#define TLS_1_2_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

/* As in a ClientHello: each name after its length. */
static const unsigned char PROTOCOLS[] = "\x8http/1.1";

/* Sessions are resumed only where they were begun under the same one: by another worker too. */
static const unsigned char SESSION_CONTEXT[] = "carillon";

struct tls_identity {
    atomic_uint refs;
    X509 *certificate;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
    unsigned char ticket_key[TICKET_KEY_LEN];
};

/* OpenSSL would ask the terminal for a passphrase. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    return -1;
}

static enum err open_file(const char *option, const char *path, FILE **out, struct error *error)
{
    *out = fopen(path, "re");
    if (!*out)
        return error_set(error, ERR_INVALID_REQUEST, "%s: cannot open %s: %s", option, path, strerror(errno));
    /* OpenSSL looks for "-----BEGIN" at the beginning of a line: not behind a byte order mark. */
    char mark[3];
    if (fread(mark, 1, sizeof mark, *out) != sizeof mark || memcmp(mark, "\xEF\xBB\xBF", sizeof mark) != 0)
        rewind(*out);
    return ERR_NONE;
}

static enum err read_certificates(struct tls_identity *identity, const char *path, struct error *error)
{
    FILE *file;
    enum err err = open_file("tls.certificate", path, &file, error);
    if (err)
        return err;
    identity->certificate = PEM_read_X509_AUX(file, NULL, no_passphrase, NULL);
    identity->chain = sk_X509_new_null();
    for (X509 *next; identity->certificate && (next = PEM_read_X509(file, NULL, no_passphrase, NULL));)
        sk_X509_push(identity->chain, next);
    fclose(file);
    if (!identity->certificate)
        err = error_set(error, ERR_INVALID_REQUEST, "tls.certificate: %s has no certificate in PEM form", path);
    else if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) /* how the end of the file is told */
        err = error_set(error, ERR_INVALID_REQUEST, "tls.certificate: %s is damaged after certificate %d", path,
                        sk_X509_num(identity->chain) + 1);
    ERR_clear_error();
    return err;
}

static enum err read_key(struct tls_identity *identity, const char *certificate, const char *path, struct error *error)
{
    FILE *file;
    enum err err = open_file("tls.key", path, &file, error);
    if (err)
        return err;
    identity->key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
    fclose(file);
    if (!identity->key)
        err = error_set(error, ERR_INVALID_REQUEST,
                        "tls.key: %s has no private key in PEM form that can be read without a passphrase", path);
    else if (X509_check_private_key(identity->certificate, identity->key) != 1)
        err = error_set(error, ERR_INVALID_REQUEST, "tls.key: %s is not the key of the first certificate in %s", path,
                        certificate);
    ERR_clear_error();
    return err;
}

/* An SSL_CTX keeps one certificate of each kind, so an RSA certificate would not take the place of an ECDSA one. A
 * connection can drop all of them. */
static int show(SSL *ssl, void *arg)
{
    const struct tls_identity *identity = *(struct tls_identity *const *)arg;
    SSL_certs_clear(ssl);
    return SSL_use_cert_and_key(ssl, identity->certificate, identity->key, identity->chain, 1);
}

/* RFC 7301, 3.2: a client that offers protocols, and none that is spoken here, is refused. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *offered,
                           unsigned offered_len, void *arg)
{
    (void)ssl;
    (void)arg;
    unsigned char *chosen;
    int result = SSL_select_next_proto(&chosen, out_len, PROTOCOLS, sizeof PROTOCOLS - 1, offered, offered_len);
    *out = chosen;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool tls_set_up(SSL_CTX *ssl, struct tls_identity **shown)
{
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ssl,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    /* With this mode one SSL_read would go on as long as records without data come. */
    SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
    /* A session that is kept costs a kilobyte for hours. A ticket costs nothing. */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_cert_cb(ssl, show, shown);
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
    /* There is one certificate, for every name that a client may ask for. The client compares the two (RFC 6066, 3). */
    SSL_CTX_set_tlsext_servername_callback(ssl, NULL);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ssl, TLS_1_2_CIPHERS) == 1 &&
           SSL_CTX_set_session_id_context(ssl, SESSION_CONTEXT, sizeof SESSION_CONTEXT - 1) == 1 &&
           tls_use_tickets(ssl, *shown);
}

bool tls_use_tickets(SSL_CTX *ssl, const struct tls_identity *identity)
{
    unsigned char key[TICKET_KEY_LEN];
    memcpy(key, identity->ticket_key, TICKET_KEY_LEN); /* OpenSSL takes it as not const */
    bool good = SSL_CTX_set_tlsext_ticket_keys(ssl, key, TICKET_KEY_LEN) == 1;
    OPENSSL_cleanse(key, TICKET_KEY_LEN);
    return good;
}

struct tls_identity *tls_identity_ref(struct tls_identity *identity)
{
    atomic_fetch_add_explicit(&identity->refs, 1, memory_order_relaxed);
    return identity;
}

void tls_identity_unref(struct tls_identity *identity)
{
    if (!identity || atomic_fetch_sub_explicit(&identity->refs, 1, memory_order_acq_rel) != 1)
        return;
    X509_free(identity->certificate);
    sk_X509_pop_free(identity->chain, X509_free);
    EVP_PKEY_free(identity->key);
    OPENSSL_cleanse(identity->ticket_key, TICKET_KEY_LEN);
    free(identity);
}

/* So that no client is the first to find out: of a key that is too short, for instance. */
static enum err try_out(struct tls_identity *identity, struct error *error)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL *ssl = context && tls_set_up(context, &identity) ? SSL_new(context) : NULL;
    enum err err = ERR_NONE;
    if (!ssl)
        err = error_set(error, ERR_INTERNAL_ERROR, "tls.certificate: OpenSSL does not start");
    else if (show(ssl, &identity) != 1)
        err = error_set(error, ERR_INVALID_REQUEST, "tls.certificate: OpenSSL does not take it: %s",
                        ERR_reason_error_string(ERR_peek_last_error()));
    ERR_clear_error();
    SSL_free(ssl);
    SSL_CTX_free(context);
    return err;
}

enum err tls_identity_load(const char *certificate, const char *key, struct tls_identity **out, struct error *error)
{
    struct tls_identity *identity = xcalloc(1, sizeof *identity);
    atomic_init(&identity->refs, 1);
    enum err err = read_certificates(identity, certificate, error);
    if (err == ERR_NONE)
        err = read_key(identity, certificate, key, error);
    if (err == ERR_NONE && RAND_bytes(identity->ticket_key, TICKET_KEY_LEN) != 1)
        err = error_set(error, ERR_INTERNAL_ERROR, "tls.certificate: OpenSSL has no random bytes for session tickets");
    if (err == ERR_NONE)
        err = try_out(identity, error);
    if (err) {
        tls_identity_unref(identity);
        return err;
    }
    *out = identity;
    return ERR_NONE;
}
