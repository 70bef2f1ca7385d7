/* request_lines.h - the headers of a request to a backend, as lines. cloudevents.h, azure.h and webhook.h append such
 * lines; outbound.h takes fields. Private to this folder. */
#ifndef CARILLON_UPSTREAM_REQUEST_LINES_H
#define CARILLON_UPSTREAM_REQUEST_LINES_H

#include "server/outbound/outbound.h"

/* Each line is "name: value" with CR LF. The fields borrow from the lines. The caller frees the array. */
struct outbound_field *request_lines_split(struct str lines, size_t *out_count);

#endif
