/* The name that a TLS client expects in the server's certificate, and the name that it sends. */
#include <string.h>

#include "common/tls/tls_peer.h"
#include "tests/support/unit.h"

static SSL *client(SSL_CTX **out_context)
{
    *out_context = SSL_CTX_new(TLS_client_method());
    return SSL_new(*out_context);
}

static void test_a_name_is_checked_and_sent(void **state)
{
    SSL_CTX *context;
    SSL *ssl = client(&context);
    assert_true(tls_peer_expect(ssl, "redis.example.com"));
    assert_string_equal(X509_VERIFY_PARAM_get0_host(SSL_get0_param(ssl), 0), "redis.example.com");
    assert_string_equal(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), "redis.example.com");
    SSL_free(ssl);
    SSL_CTX_free(context);
}

static void test_an_address_is_checked_and_not_sent(void **state)
{
    static const char *const addresses[][2] = {{"192.0.2.7", "192.0.2.7"}, {"2001:db8::7", "2001:DB8:0:0:0:0:0:7"}};
    for (size_t i = 0; i < 2; i++) {
        SSL_CTX *context;
        SSL *ssl = client(&context);
        assert_true(tls_peer_expect(ssl, addresses[i][0]));
        char *ip = X509_VERIFY_PARAM_get1_ip_asc(SSL_get0_param(ssl));
        assert_string_equal(ip, addresses[i][1]);
        assert_null(X509_VERIFY_PARAM_get0_host(SSL_get0_param(ssl), 0));
        assert_null(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
        OPENSSL_free(ip);
        SSL_free(ssl);
        SSL_CTX_free(context);
    }
}

static void test_a_name_that_cannot_be_sent(void **state)
{
    SSL_CTX *context;
    SSL *ssl = client(&context);
    char name[300];
    memset(name, 'a', sizeof name - 1); /* the name in a handshake has at most 255 bytes */
    name[sizeof name - 1] = '\0';
    assert_false(tls_peer_expect(ssl, name));
    SSL_free(ssl);
    SSL_CTX_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_name_is_checked_and_sent),
        cmocka_unit_test(test_an_address_is_checked_and_not_sent),
        cmocka_unit_test(test_a_name_that_cannot_be_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
