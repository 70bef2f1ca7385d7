/* dev_route.h - a route of /dev/v1, and how it answers. The table of all routes is in dev_http.c. */
#ifndef CARILLON_DEV_DEV_ROUTE_H
#define CARILLON_DEV_DEV_ROUTE_H

#include "common/protocol/http_message.h"

struct dev;

/* Answers the call, at once or later. rest: of a path that ends in {id}, what stands there; else empty. */
typedef void dev_route_serve(struct dev *dev, struct http_call *call, struct str rest);

struct dev_route {
    const char *method;
    const char *path; /* as "/dev/v1/rules/{id}": {id} is the last part and may have no '/' */
    dev_route_serve *serve;
};

/* The routes of each file, ended by a row without a path. */
extern const struct dev_route broker_routes[];
extern const struct dev_route channels_routes[];
extern const struct dev_route clock_routes[];
extern const struct dev_route fault_routes[];
extern const struct dev_route console_routes[];
extern const struct dev_route journal_routes[];
extern const struct dev_route reset_routes[];
extern const struct dev_route session_routes[];
extern const struct dev_route snapshot_routes[];
extern const struct dev_route verify_routes[];
extern const struct dev_route wait_routes[];

/* Answers with the body that is in the response: 200, or 204 if it is empty, unless a status is set. */
void dev_answer(struct http_call *call);
/* Answers with an error, in the API's form. */
void dev_refuse(struct http_call *call, int status, const struct error *error);

#endif
