/* dev_http.h - finds the route of a request to /dev/v1 (dev_route.h), or the file of the console. */
#ifndef CARILLON_DEV_DEV_HTTP_H
#define CARILLON_DEV_DEV_HTTP_H

#include "common/protocol/http_message.h"

/* The owner is the struct dev. */
extern const struct http_handler dev_handler;

#endif
