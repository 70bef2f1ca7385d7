/* own_page.c - see own_page.h. */
#include "server/console/own_page.h"

#include "common/protocol/http_field.h"

static struct str site_of(const struct http_request *request)
{
    struct str site = STR("");
    http_fields_find(request->fields, STR("sec-fetch-site"), &site);
    return site;
}

bool own_page_site(const struct http_request *request)
{
    struct str site = site_of(request);
    return site.len == 0 || str_eq(site, STR("same-origin")) || str_eq(site, STR("none"));
}

bool own_page_origin(const struct http_request *request, struct str scheme)
{
    struct str rest = request->origin, between = STR("://");
    if (rest.len == 0)
        return true;
    if (!str_starts_with(rest, scheme))
        return false;
    rest = str_skip(rest, scheme.len);
    return str_starts_with(rest, between) && str_eq_nocase(str_skip(rest, between.len), request->host);
}

bool own_page_asks(const struct http_request *request, struct str scheme)
{
    return site_of(request).len ? own_page_site(request) : own_page_origin(request, scheme);
}
