/* console_routes.c - the console, and what it has to know of the server. */
#include "server/console/console.h"
#include "server/dev/dev_private.h"
#include "server/dev/dev_route.h"

static void show_file(struct dev *dev, struct http_call *call, struct str rest)
{
    (void)dev;
    (void)rest;
    console_answer(call, console_find(call->request.path));
}

static void show_server(struct dev *dev, struct http_call *call, struct str rest)
{
    struct error error;
    (void)rest;
    if (dev->facts.len == 0) {
        error_set(&error, ERR_UNAVAILABLE,
                  "the server has no keys of its own; start carillon dev without flags for them");
        dev_refuse(call, 503, &error);
        return;
    }
    buf_append(&call->response.body, buf_str(&dev->facts));
    dev_answer(call);
}

const struct dev_route console_routes[] = {{"GET", "/", show_file},
                                           {"GET", "/console.css", show_file},
                                           {"GET", "/console.js", show_file},
                                           {"GET", "/console.svg", show_file},
                                           {"GET", "/dev/v1/server", show_server},
                                           {0}};
