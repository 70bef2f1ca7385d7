/* clock_routes.c - reads, sets and moves the clock by HTTP. */
#include <stdio.h>

#include "common/base/clock.h"
#include "server/dev/dev_json.h"
#include "server/dev/dev_private.h"
#include "server/dev/dev_route.h"

enum { FIRED_MAX = 1000 };

/* One order. Exactly one of the first four is there. */
struct clock_order {
    struct json_value advance, set, freeze, run, rate;
    uint64_t ms; /* of advance or set */
    unsigned run_rate;
};

static enum err read_run(struct clock_order *order, struct error *error)
{
    uint64_t rate = 1;
    if (order->rate.type && (!json_u64(order->rate, &rate) || rate < 1 || rate > DEV_CLOCK_RATE_MAX))
        return error_set(error, ERR_INVALID_REQUEST, "rate: expected a whole number from 1 to %d", DEV_CLOCK_RATE_MAX);
    if (!str_eq(order->run.raw, STR("true")))
        return error_set(error, ERR_INVALID_REQUEST, "run: expected true; freeze stops the clock");
    order->run_rate = (unsigned)rate;
    return ERR_NONE;
}

static enum err read_order(struct str body, struct clock_order *order, struct error *error)
{
    const struct json_field fields[] = {{"advance", JSON_STRING, false, &order->advance},
                                        {"set", JSON_STRING, false, &order->set},
                                        {"freeze", JSON_BOOL, false, &order->freeze},
                                        {"run", JSON_BOOL, false, &order->run},
                                        {"rate", JSON_NUMBER, false, &order->rate}};
    enum err err = dev_json_bind(body, fields, sizeof fields / sizeof *fields, error);
    if (err != ERR_NONE)
        return err;
    if (!!order->advance.type + !!order->set.type + !!order->freeze.type + !!order->run.type != 1)
        return error_set(error, ERR_INVALID_REQUEST, "expected one of advance, set, freeze and run");
    if (order->rate.type && !order->run.type)
        return error_set(error, ERR_INVALID_REQUEST, "rate: is a member beside run");
    if (order->advance.type)
        return dev_json_duration(order->advance, "advance", &order->ms, error);
    if (order->set.type)
        return dev_json_time(order->set, "set", &order->ms, error);
    if (order->run.type)
        return read_run(order, error);
    return str_eq(order->freeze.raw, STR("true"))
               ? ERR_NONE
               : error_set(error, ERR_INVALID_REQUEST, "freeze: expected true; run lets the clock run again");
}

/* What the journal has got since the order came. */
static void append_fired(const struct dev *dev, struct buf *out)
{
    uint64_t after = dev->clock_since;
    const char *comma = "";
    size_t count = 0;
    buf_append_lit(out, ",\"fired\":[");
    for (struct journal_line line; count < FIRED_MAX && journal_after(&dev->journal, after, &line);
         after = line.n, count++, comma = ",") {
        buf_appendf(out, "%s", comma);
        journal_print(out, &line);
    }
    buf_append_char(out, ']');
}

static void answer_clock(struct dev *dev, struct http_call *call, bool has_fired)
{
    struct buf *body = &call->response.body;
    char now[CLOCK_RFC3339_LEN + 1];
    unsigned rate = dev_clock_rate(&dev->clock);
    clock_format(dev_clock_wall_ms(&dev->clock), now);
    buf_appendf(body, "{\"now\":\"%s\",\"frozen\":%s,\"rate\":%u", now, rate ? "false" : "true", rate);
    if (has_fired)
        append_fired(dev, body);
    buf_append_char(body, '}');
    dev_answer(call);
}

static void on_arrived(void *owner, bool whole)
{
    struct dev *dev = owner;
    struct http_call *call = dev->clock_call;
    struct error error;
    dev->clock_call = NULL;
    if (whole) {
        answer_clock(dev, call, true);
        return;
    }
    error_set(&error, ERR_CONFLICT,
              "the clock has not arrived: POST /dev/v1/reset, or the end of the server, has stopped it");
    dev_refuse(call, 409, &error);
}

static void note(struct dev *dev, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct dev *dev, const char *format, ...)
{
    char text[80];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    journal_add(&dev->journal, dev_clock_wall_ms(&dev->clock),
                &(struct journal_note){.kind = JOURNAL_CLOCK, .text = str_from_cstr(text)});
}

static void advance(struct dev *dev, struct http_call *call, uint64_t ms)
{
    dev->clock_call = call;
    dev_clock_advance(&dev->clock, ms * 1000, dev_clock_rate(&dev->clock), on_arrived, dev);
}

static void carry_out(struct dev *dev, struct http_call *call, const struct clock_order *order)
{
    uint64_t now_ms = dev_clock_wall_ms(&dev->clock);
    dev->clock_since = dev->journal.last;
    if (order->advance.type) {
        note(dev, "advance %.*s", (int)order->advance.raw.len - 2, order->advance.raw.ptr + 1);
        advance(dev, call, order->ms);
        return;
    }
    if (order->set.type) {
        note(dev, "set %.*s", (int)order->set.raw.len - 2, order->set.raw.ptr + 1);
        if (order->ms >= now_ms) {
            advance(dev, call, order->ms - now_ms);
            return;
        }
        dev_clock_set_wall(&dev->clock, order->ms);
    } else if (order->freeze.type) {
        note(dev, "freeze");
        dev_clock_set_rate(&dev->clock, 0);
    } else {
        note(dev, "run at rate %u", order->run_rate);
        dev_clock_set_rate(&dev->clock, order->run_rate);
    }
    answer_clock(dev, call, true);
}

static void order_clock(struct dev *dev, struct http_call *call, struct str rest)
{
    struct clock_order order = {0};
    struct error error;
    (void)rest;
    if (read_order(call->request.body, &order, &error)) {
        dev_refuse(call, 400, &error);
    } else if (dev_clock_is_moving(&dev->clock)) {
        error_set(&error, ERR_CONFLICT, "the clock is still being moved by an earlier order");
        dev_refuse(call, 409, &error);
    } else {
        carry_out(dev, call, &order);
    }
}

static void read_clock(struct dev *dev, struct http_call *call, struct str rest)
{
    (void)rest;
    answer_clock(dev, call, false);
}

const struct dev_route clock_routes[] = {
    {"GET", "/dev/v1/clock", read_clock}, {"POST", "/dev/v1/clock", order_clock}, {0}};
