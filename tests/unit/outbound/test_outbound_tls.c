/* test_outbound_tls.c - backends that speak TLS: whom the outbound thread trusts. */
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/outbound/outbound_rig.h"

static SSL_CTX *identity;
static char ca_file[] = "/tmp/carillon_outbound_ca_XXXXXX";

/* A certificate for "localhost" that signs itself; its PEM is ca_file. */
static int make_identity(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* the backends of this test write by OpenSSL */
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(cert, key, EVP_sha256());
    FILE *file = fdopen(mkstemp(ca_file), "w");
    PEM_write_X509(file, cert);
    fclose(file);
    identity = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(identity, cert);
    SSL_CTX_use_PrivateKey(identity, key);
    X509_free(cert);
    EVP_PKEY_free(key);
    return 0;
}

static int free_identity(void **state)
{
    (void)state;
    SSL_CTX_free(identity);
    unlink(ca_file);
    return 0;
}

static void answer_by_tls(struct backend *backend, int fd)
{
    SSL *tls = SSL_new(identity);
    SSL_set_fd(tls, fd);
    char request[4096];
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";
    if (SSL_accept(tls) == 1)
        while (SSL_read(tls, request, sizeof request) > 0) {
            atomic_fetch_add(&backend->requests, 1);
            SSL_write(tls, answer, sizeof answer - 1);
        }
    SSL_free(tls);
}

static void answer_plain(struct backend *backend, int fd)
{
    char hello[4096];
    (void)backend;
    if (read(fd, hello, sizeof hello) > 0)
        backend_write(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
}

static void say_nothing(struct backend *backend, int fd)
{
    char hello[4096];
    (void)backend;
    while (read(fd, hello, sizeof hello) > 0)
        ;
}

static void expect(void (*serve)(struct backend *, int), const char *scheme, const char *host, bool trusted,
                   enum outbound_result result)
{
    struct backend backend;
    struct rig rig;
    backend_start(&backend, serve);
    rig_open(&rig);
    char url[64];
    snprintf(url, sizeof url, "%s://%s:%u/", scheme, host, backend.port);
    struct outbound_target_options options = {
        .url = str_from_cstr(url), .http2 = true, .connect_timeout_ms = serve == say_nothing ? 200 : 0};
    if (trusted)
        options.ca_file = str_from_cstr(ca_file);
    struct outbound_target *target = rig_target(&rig, NULL, &options);
    for (int i = 0; i < 3; i++) {
        struct seen seen = {0};
        rig_call(&rig, target, "x", &seen);
        assert_int_equal(seen.result, result);
        if (result == OUTBOUND_OK)
            assert_string_equal(buf_cstr(&seen.body), "secret");
        seen_fini(&seen);
    }
    assert_int_equal(backend.connections, result == OUTBOUND_OK ? 1 : 3);
    assert_int_equal(backend.requests, result == OUTBOUND_OK ? 3 : 0);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

static void a_trusted_backend_is_called(void **state)
{
    (void)state;
    expect(answer_by_tls, "https", "localhost", true, OUTBOUND_OK);
}

static void others_get_no_request(void **state)
{
    (void)state;
    expect(answer_by_tls, "https", "localhost", false, OUTBOUND_TLS); /* not among the system's CAs */
    expect(answer_by_tls, "https", "127.0.0.1", true, OUTBOUND_TLS);  /* another name */
    expect(answer_plain, "https", "localhost", true, OUTBOUND_TLS);
    expect(say_nothing, "https", "localhost", true, OUTBOUND_REFUSED);
}

static void plaintext_to_tls_is_no_answer(void **state)
{
    (void)state;
    expect(answer_by_tls, "http", "127.0.0.1", false, OUTBOUND_RESET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trusted_backend_is_called),
        cmocka_unit_test(others_get_no_request),
        cmocka_unit_test(plaintext_to_tls_is_no_answer),
    };
    return cmocka_run_group_tests(tests, make_identity, free_identity);
}
