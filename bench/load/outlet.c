/* outlet.c - see outlet.h: what the transports have in common. */
#include "bench/load/outlet.h"

#include "bench/load/payload.h"

enum err outlet_open(struct outlet *outlet, struct error *error)
{
    static const struct outlet_kind *const kinds[TRANSPORT_COUNT] = {
        [TRANSPORT_HTTP] = &outlet_http,
        [TRANSPORT_WEBSOCKET] = &outlet_websocket,
        [TRANSPORT_REDIS] = &outlet_redis,
    };
    outlet->kind = kinds[outlet->run->settings->transport];
    return outlet->kind->open(outlet, error);
}

void outlet_close(struct outlet *outlet)
{
    if (outlet->kind)
        outlet->kind->close(outlet);
    buf_fini(&outlet->text);
    buf_fini(&outlet->message);
}

void outlet_publish(struct outlet *outlet, size_t connection, uint32_t channel, uint32_t number, size_t data_bytes)
{
    buf_clear(&outlet->text);
    payload_append(&outlet->text, number, data_bytes);
    outlet->kind->publish(outlet, connection, outlet->run->settings->channels[channel], buf_str(&outlet->text));
}

void outlet_send(struct outlet *outlet, size_t connection)
{
    outlet->kind->send(outlet, connection);
}

const struct error *outlet_failure(const struct outlet *outlet)
{
    return outlet->failed ? &outlet->error : outlet->kind->failure(outlet);
}
