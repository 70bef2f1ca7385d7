/* configure_endpoint.c - see configure_endpoint.h. */
#include "server/app/configure_endpoint.h"

#include <stdio.h>

struct node_limits configure_node_limits(const struct options *o)
{
    return (struct node_limits){.limits = {.message_bytes = o->limits_message_bytes,
                                           .channels = (uint32_t)o->limits_channels,
                                           .bad_messages = (uint32_t)o->limits_bad_messages,
                                           .message_rate_per_minute = o->limits_message_rate * 60,
                                           .message_burst = o->limits_message_burst},
                                .ping_interval_us = o->ping_interval_ms * 1000,
                                .pong_timeout_us = o->pong_timeout_ms * 1000};
}

/* The endpoint's own value in the given unit, or else the node's. */
static uint64_t own_or(uint64_t own, uint64_t unit, uint64_t node)
{
    return own == OPTION_UNSET ? node : own * unit;
}

static void set_limits(struct endpoint *endpoint, const struct endpoint_options *o, const struct node_limits *node)
{
    const struct endpoint_limits *limits = &node->limits;
    endpoint->limits = (struct endpoint_limits){
        .message_bytes = own_or(o->limits_message_bytes, 1, limits->message_bytes),
        .channels = (uint32_t)own_or(o->limits_channels, 1, limits->channels),
        .bad_messages = (uint32_t)own_or(o->limits_bad_messages, 1, limits->bad_messages),
        .message_rate_per_minute = own_or(o->limits_message_rate, 60, limits->message_rate_per_minute),
        .message_burst = own_or(o->limits_message_burst, 1, limits->message_burst),
    };
    endpoint->ping_interval_us = own_or(o->ping_interval_ms, 1000, node->ping_interval_us);
    endpoint->pong_timeout_us = own_or(o->pong_timeout_ms, 1000, node->pong_timeout_us);
}

static enum err set_correlation(struct endpoint *endpoint, const struct endpoint_options *o, struct error *error)
{
    const struct correlation_options options = {.id = str_from_cstr(o->correlation_id),
                                                .idempotency_key = str_from_cstr(o->correlation_idempotency_key),
                                                .error = str_from_cstr(o->correlation_error)};
    if (!options.id.len && !options.idempotency_key.len && !options.error.len)
        return ERR_NONE;
    return correlation_create(&options, &endpoint->correlation, error);
}

enum err configure_endpoint(struct endpoint *endpoint, const struct endpoint_options *o, const struct node_limits *node,
                            struct error *error)
{
    set_limits(endpoint, o, node);
    for (size_t i = 0; i < o->close_codes.count; i++) {
        enum reason reason = reason_from_text(str_from_cstr(o->close_codes.items[i].name));
        endpoint->close_codes.code[reason] = (uint16_t)o->close_codes.items[i].value;
    }
    endpoint->text = (enum message_use)o->text;
    endpoint->binary = (enum message_use)o->binary;
    endpoint->frames = 0;
    for (size_t i = 0; i < o->frames.count; i++)
        endpoint->frames |= frames_of_word(str_from_cstr(o->frames.items[i]));
    endpoint->deliver_data = o->deliver == ENDPOINT_DELIVER_DATA;
    endpoint->ignores_expiry = o->token_expiry == ENDPOINT_EXPIRY_CONNECT;
    endpoint->rate_counts = 0;
    for (size_t i = 0; i < o->rate_counts.count; i++)
        endpoint->rate_counts |= str_eq_cstr(str_from_cstr(o->rate_counts.items[i]), "text") ? RATE_TEXT : RATE_BINARY;
    snprintf(endpoint->binary_type, sizeof endpoint->binary_type, "%s", o->binary_type);
    return set_correlation(endpoint, o, error);
}

static uint64_t follow(uint64_t value, uint64_t before, uint64_t now)
{
    return value == before ? now : value;
}

void configure_kept_endpoint(struct endpoint *endpoint, const struct node_limits *before, const struct node_limits *now)
{
    struct endpoint_limits *limits = &endpoint->limits;
    const struct endpoint_limits *old = &before->limits, *new = &now->limits;
    limits->message_bytes = follow(limits->message_bytes, old->message_bytes, new->message_bytes);
    limits->channels = (uint32_t)follow(limits->channels, old->channels, new->channels);
    limits->bad_messages = (uint32_t)follow(limits->bad_messages, old->bad_messages, new->bad_messages);
    limits->message_rate_per_minute =
        follow(limits->message_rate_per_minute, old->message_rate_per_minute, new->message_rate_per_minute);
    limits->message_burst = follow(limits->message_burst, old->message_burst, new->message_burst);
    endpoint->ping_interval_us = follow(endpoint->ping_interval_us, before->ping_interval_us, now->ping_interval_us);
    endpoint->pong_timeout_us = follow(endpoint->pong_timeout_us, before->pong_timeout_us, now->pong_timeout_us);
}
