/* channels_routes.c - other rules of channels, as a reload would bring them. */
#include "server/dev/dev_private.h"
#include "server/dev/dev_route.h"

/* The rules are a JSON array, as the option `channels` has them; an empty body brings back those of the start. */
static void put(struct dev *dev, struct http_call *call, struct str rest)
{
    struct buf messages = {0};
    struct error error;
    (void)rest;
    if (dev->parts.set_channels(dev->parts.server, call->request.body, &messages)) {
        dev->has_other_channels = call->request.body.len > 0;
        dev_answer(call);
    } else {
        struct str text = buf_str(&messages), first = str_split(&text, '\n'), flag = STR("--channels: ");
        if (str_starts_with(first, flag)) /* the value is that of a flag; here it is a body */
            first = str_skip(first, flag.len);
        error_set(&error, ERR_INVALID_REQUEST, "%.*s", STR_ARG(first));
        dev_refuse(call, 400, &error);
    }
    buf_fini(&messages);
}

const struct dev_route channels_routes[] = {{"PUT", "/dev/v1/channels-rules", put}, {0}};
