/* curl_handle.c - see curl_handle.h. */
#include "server/cli/curl_handle.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

uint64_t curl_handle_left_ms(uint64_t deadline_us)
{
    uint64_t now_us = clock_now_us();
    return deadline_us > now_us ? (deadline_us - now_us + 999) / 1000 : 0;
}

/* The variables are those of OpenSSL, which libcurl does not read. */
static void set_authorities(CURL *easy)
{
    const char *file = getenv("SSL_CERT_FILE"), *folder = getenv("SSL_CERT_DIR");
    if (file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    if (folder)
        curl_easy_setopt(easy, CURLOPT_CAPATH, folder);
}

void curl_handle_init(struct curl_handle *handle, const struct url *url, struct str path, uint64_t deadline_us)
{
    struct buf text = {0};
    uint64_t ms = curl_handle_left_ms(deadline_us);
    CURL *easy = curl_easy_init();
    if (!easy)
        abort(); /* no memory */
    *handle = (struct curl_handle){.easy = easy};
    buf_appendf(&text, "%s://%.*s%.*s", url->secure ? "https" : "http", STR_ARG(url->authority), STR_ARG(path));
    curl_easy_setopt(easy, CURLOPT_URL, buf_cstr(&text));
    buf_fini(&text);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, ms > 1 ? (long)ms : 1L);
    /* Without it, cleaning up waits for the thread that resolves the name, however long that takes. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* by ALPN, too */
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, handle->why);
    set_authorities(easy);
}

void curl_handle_fini(struct curl_handle *handle)
{
    curl_easy_cleanup(handle->easy);
}

const char *curl_handle_why(const struct curl_handle *handle, CURLcode code)
{
    return handle->why[0] ? handle->why : curl_easy_strerror(code);
}

enum err curl_handle_connect_error(const struct curl_handle *handle, CURLcode code, const struct url *url,
                                   struct error *error)
{
    long failure = 0;
    curl_easy_getinfo(handle->easy, CURLINFO_OS_ERRNO, &failure);
    const char *why = code == CURLE_COULDNT_CONNECT && failure ? strerror((int)failure) : curl_handle_why(handle, code);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return error_set(error, ERR_INVALID_REQUEST,
                         "cannot connect to %.*s: the server's certificate is not accepted: %s (SSL_CERT_FILE can name "
                         "the file of its authority)",
                         STR_ARG(url->authority), why);
    return error_set(error, ERR_UNAVAILABLE, "cannot connect to %.*s: %s", STR_ARG(url->authority), why);
}
