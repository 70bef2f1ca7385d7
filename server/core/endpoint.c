/* endpoint.c - see endpoint.h. */
#include "server/core/endpoint.h"

void endpoint_init(struct endpoint *endpoint, const struct dialect *dialect, void (*destroy)(struct endpoint *endpoint))
{
    *endpoint = (struct endpoint){.destroy = destroy,
                                  .dialect = dialect,
                                  .text = USE_COMMANDS,
                                  .binary = USE_REJECT,
                                  .rate_counts = RATE_TEXT | RATE_BINARY,
                                  .frames = FRAMES_ALL,
                                  .binary_type = "application/octet-stream"};
    atomic_init(&endpoint->refs, 1);
    for (int i = 0; i < REASON_COUNT; i++)
        endpoint->close_codes.code[i] = (uint16_t)reason_close_code((enum reason)i);
}

struct endpoint *endpoint_ref(struct endpoint *endpoint)
{
    atomic_fetch_add_explicit(&endpoint->refs, 1, memory_order_relaxed);
    return endpoint;
}

void endpoint_unref(struct endpoint *endpoint)
{
    if (atomic_fetch_sub_explicit(&endpoint->refs, 1, memory_order_acq_rel) != 1)
        return;
    upstream_unref(endpoint->upstream);
    correlation_unref(endpoint->correlation);
    endpoint->destroy(endpoint);
}

void endpoint_continue(struct endpoint *endpoint, const struct endpoint *before)
{
    endpoint->dialect = before->dialect;
    endpoint->close_codes = before->close_codes;
    endpoint->limits = before->limits;
    endpoint->ping_interval_us = before->ping_interval_us;
    endpoint->pong_timeout_us = before->pong_timeout_us;
    endpoint->rate_counts = before->rate_counts;
    endpoint->ignores_expiry = before->ignores_expiry;
    endpoint->correlation = correlation_ref(before->correlation);
}

enum { COMMAND_ANSWERS = 1 << REPLY_PUBLISHED | 1 << REPLY_HISTORY | 1 << REPLY_PRESENCE | 1 << REPLY_REFRESHED };

uint32_t frames_of_word(struct str word)
{
    static const struct {
        const char *word;
        uint32_t frames;
    } rows[] = {
        {"session_init", 1 << REPLY_SESSION_INIT},
        {"subscribed", 1 << REPLY_SUBSCRIBED | 1 << REPLY_UNSUBSCRIBED | 1 << REPLY_GAP | COMMAND_ANSWERS},
        {"warning", 1 << REPLY_WARNING},
        {"reconnect", 1 << REPLY_RECONNECT},
        {"error", 1 << REPLY_ERROR},
        {"pong", 1 << REPLY_PONG},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_eq_cstr(word, rows[i].word))
            return rows[i].frames;
    return 0;
}
