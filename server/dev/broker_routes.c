/* broker_routes.c - the failures of a broker, on order. */
#include "server/dev/dev_json.h"
#include "server/dev/dev_private.h"
#include "server/dev/dev_route.h"

enum { SLOW_MS = 500, SLOW_MAX_MS = 60000 };

static void answer_state(struct dev *dev, struct http_call *call)
{
    static const char *const words[] = {"up", "down", "slow"};
    buf_appendf(&call->response.body, "{\"state\":\"%s\"}", words[dev->broker.mode]);
    dev_answer(call);
}

static void show(struct dev *dev, struct http_call *call, struct str rest)
{
    (void)rest;
    answer_state(dev, call);
}

struct broker_order {
    struct json_value state, duration, by;
    uint64_t for_ms;
    uint64_t by_ms;
};

static enum err read_order(struct str body, struct broker_order *out, struct error *error)
{
    const struct json_field fields[] = {{"state", JSON_STRING, true, &out->state},
                                        {"for", JSON_STRING, false, &out->duration},
                                        {"by", JSON_STRING, false, &out->by}};
    enum err err = dev_json_bind(body, fields, sizeof fields / sizeof *fields, error);
    out->by_ms = SLOW_MS;
    if (!err && out->duration.type)
        err = dev_json_duration(out->duration, "for", &out->for_ms, error);
    if (!err && out->by.type)
        err = dev_json_duration(out->by, "by", &out->by_ms, error);
    if (!err && out->by_ms > SLOW_MAX_MS)
        err = error_set(error, ERR_INVALID_REQUEST, "by: at most 60s");
    if (!err && out->by.type && !str_eq(out->state.raw, STR("\"slow\"")))
        err = error_set(error, ERR_INVALID_REQUEST, "by: is for the state slow alone");
    if (!err && out->duration.type && str_eq(out->state.raw, STR("\"up\"")))
        err = error_set(error, ERR_INVALID_REQUEST, "for: is not for the state up, which stays");
    if (!err && out->duration.type && out->for_ms == 0)
        err = error_set(error, ERR_INVALID_REQUEST, "for: expected more than 0; leave it out for a state that stays");
    return err;
}

static void order(struct dev *dev, struct http_call *call, struct str rest)
{
    struct broker_order order = {0};
    struct error error;
    char quoted[ERROR_QUOTE_LEN];
    (void)rest;
    if (read_order(call->request.body, &order, &error)) {
        dev_refuse(call, 400, &error);
        return;
    }
    struct str state = str_from(order.state.raw.ptr + 1, order.state.raw.len - 2);
    if (str_eq(state, STR("lost")) && *dev->parts.options->redis_url) {
        error_set(&error, ERR_CONFLICT, "lost: the histories are in Redis, which keeps them; down is possible with it");
        dev_refuse(call, 409, &error);
        return;
    }
    if (str_eq(state, STR("lost"))) {
        dev_broker_lose(&dev->broker, order.for_ms);
    } else if (str_eq(state, STR("down"))) {
        dev_broker_set(&dev->broker, DEV_BROKER_DOWN, 0, order.for_ms);
    } else if (str_eq(state, STR("slow"))) {
        dev_broker_set(&dev->broker, DEV_BROKER_SLOW, order.by_ms, order.for_ms);
    } else if (str_eq(state, STR("up"))) {
        dev_broker_set(&dev->broker, DEV_BROKER_UP, 0, 0);
    } else {
        error_set(&error, ERR_INVALID_REQUEST, "state: %s is none; expected down, slow, lost or up",
                  error_quote(state, quoted));
        dev_refuse(call, 400, &error);
        return;
    }
    answer_state(dev, call);
}

const struct dev_route broker_routes[] = {{"GET", "/dev/v1/broker", show}, {"POST", "/dev/v1/broker", order}, {0}};
