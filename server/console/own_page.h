/* own_page.h - whether a request to the internal listener comes from one of its own pages, or from no page at all.
 * A browser says where a request comes from, and no page can change that:
 *
 * - Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/), to a URL that the browser trusts: https, localhost
 * - Origin (RFC 6454, 7), with each POST
 *
 * Pure functions, for any thread. */
#ifndef CARILLON_CONSOLE_OWN_PAGE_H
#define CARILLON_CONSOLE_OWN_PAGE_H

#include "common/protocol/http_message.h"

/* Sec-Fetch-Site is same-origin or none (an address that the user typed), or is not there. */
bool own_page_site(const struct http_request *request);
/* Origin is the scheme, such as "http", with the Host header's value, or is not there. */
bool own_page_origin(const struct http_request *request, struct str scheme);
/* By Sec-Fetch-Site, or by Origin where that header is not there: a proxy may have changed Host. */
bool own_page_asks(const struct http_request *request, struct str scheme);

#endif
