/* curl_handle.h - an easy handle of libcurl, with the settings that all connections of the client subcommands share:
 *
 * - only http and https, HTTP/1.1, TLS 1.2 or later; no redirects, and no proxies of the environment
 * - the certificate must be for the URL's host and signed by an authority of the system; SSL_CERT_FILE and SSL_CERT_DIR
 *   name others
 * - the connection (DNS, TCP, TLS) must exist by the deadline, a time of the monotonic clock (clock.h)
 *
 * One thread at a time. */
#ifndef CARILLON_CLI_CURL_HANDLE_H
#define CARILLON_CLI_CURL_HANDLE_H

#include <curl/curl.h>

#include "common/base/error.h"
#include "common/protocol/url.h"

/* The caller's memory. It must not move between init and fini. */
struct curl_handle {
    CURL *easy;
    char why[CURL_ERROR_SIZE]; /* libcurl's words for the last failure, or empty */
};

/* For a request to the server of url. path begins with '/'. Both are copied. */
void curl_handle_init(struct curl_handle *handle, const struct url *url, struct str path, uint64_t deadline_us);
void curl_handle_fini(struct curl_handle *handle);

/* What a call of libcurl that returned code has to say. Valid until the next call. */
const char *curl_handle_why(const struct curl_handle *handle, CURLcode code);

/* For a connection that did not come about: fills *error and returns its code. ERR_INVALID_REQUEST: the certificate is
 * not accepted. ERR_UNAVAILABLE: everything else. */
enum err curl_handle_connect_error(const struct curl_handle *handle, CURLcode code, const struct url *url,
                                   struct error *error);

/* Milliseconds until the deadline, rounded up; 0: it is over. */
uint64_t curl_handle_left_ms(uint64_t deadline_us);

#endif
