/* presence_page.h - a page of the members of a channel, as clients and the HTTP API get it. Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_PRESENCE_PAGE_H
#define CARILLON_PROTOCOL_PRESENCE_PAGE_H

#include "common/base/buf.h"

/* All borrowed. */
struct presence_page {
    uint64_t users; /* of the channel, as are connections; the page has some of its members */
    uint64_t connections;
    struct str members; /* JSON objects, joined by commas */
    struct str next;    /* the user with which the next page begins; empty: this is the last page */
};

/* Appends the members of a JSON object, without its braces. */
void presence_page_write(struct buf *out, const struct presence_page *page);

#endif
