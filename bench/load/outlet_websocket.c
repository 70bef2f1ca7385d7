/* outlet_websocket.c - events over WebSocket connections that subscribe to nothing. */
#include "bench/load/credentials.h"
#include "bench/load/outlet_kind.h"

static void on_item(void *owner, size_t client, enum dialect_item item, struct str payload, uint64_t now_us)
{
    struct outlet *outlet = owner;
    (void)now_us;
    if (item == DIALECT_ACCEPTED)
        outlet_accept(outlet, client, 1);
    else
        outlet_refuse(outlet, "over WebSocket", payload);
}

static enum err open_websocket(struct outlet *outlet, struct error *error)
{
    struct run *run = outlet->run;
    const struct run_settings *settings = run->settings;
    enum err err = ERR_NONE;
    outlet->crowd = (struct crowd){
        .loop = &run->loop,
        .target = run->clients,
        .dialect = settings->dialect,
        .count = outlet->count,
        .at_once = settings->at_once,
        .on_item = on_item,
        .owner = outlet,
    };
    crowd_init(&outlet->crowd);
    if (settings->dialect->has_tokens)
        err = credentials_make(settings->keys, settings->channel, settings->connections, outlet->count, &outlet->tokens,
                               error);
    outlet->crowd.tokens = outlet->tokens;
    return err ? err : crowd_connect(&outlet->crowd, RUN_OUTLET_US, error);
}

static void publish(struct outlet *outlet, size_t connection, struct str channel, struct str data)
{
    const struct bench_dialect *dialect = outlet->run->settings->dialect;
    if (dialect->accepts_aloud)
        outlet->under_way++;
    buf_clear(&outlet->message);
    dialect->publish(&outlet->message, channel, data);
    crowd_queue(&outlet->crowd, connection, buf_str(&outlet->message));
}

static void send_websocket(struct outlet *outlet, size_t connection)
{
    crowd_flush(&outlet->crowd, connection);
}

static void close_websocket(struct outlet *outlet)
{
    crowd_fini(&outlet->crowd);
    credentials_free(outlet->tokens, outlet->count);
}

static const struct error *failure(const struct outlet *outlet)
{
    return outlet->crowd.gone > 0 ? &outlet->crowd.error : NULL;
}

const struct outlet_kind outlet_websocket = {open_websocket, publish, send_websocket, close_websocket, failure};
