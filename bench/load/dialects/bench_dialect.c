/* bench_dialect.c - see bench_dialect.h: the table, and what several dialects share. */
#include "bench/load/dialects/bench_dialect.h"

const char *const transport_names[TRANSPORT_COUNT] = {
#define TRANSPORT(symbol, name) [TRANSPORT_##symbol] = name,
#include "bench/load/dialects/transports.def"
#undef TRANSPORT
};

const struct bench_dialect *const dialects[] = {
#define DIALECT(name) &dialect_##name,
#include "bench/load/dialects/dialects.def"
#undef DIALECT
    NULL,
};

const struct bench_dialect *dialect_find(const char *name)
{
    for (size_t i = 0; dialects[i]; i++)
        if (strcmp(dialects[i]->name, name) == 0)
            return dialects[i];
    return NULL;
}

void dialect_append_encoded(struct buf *out, struct str text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && strchr("-._~", c));
        if (!plain) {
            buf_append_char(out, '%');
            buf_append_char(out, hex[c >> 4]);
        }
        buf_append_char(out, plain ? (char)c : hex[c & 15]);
    }
}

bool dialect_open_ready(struct talk *talk, struct buf *out)
{
    (void)talk;
    (void)out;
    return true;
}

bool dialect_open_silent(struct talk *talk, struct buf *out)
{
    (void)talk;
    (void)out;
    return false;
}

enum dialect_item dialect_read_whole(struct talk *talk, struct str *message, struct str *out, struct buf *answer)
{
    (void)talk;
    (void)answer;
    if (message->len == 0)
        return DIALECT_MORE;
    *out = *message;
    *message = STR("");
    return DIALECT_EVENT;
}

void dialect_append_channel_query(struct buf *out, struct str channel)
{
    bool has_query = out->len > 0 && memchr(out->ptr, '?', out->len);
    buf_append(out, has_query ? STR("&channel=") : STR("?channel="));
    dialect_append_encoded(out, channel);
}

void dialect_append_nothing(struct buf *out, struct str channel)
{
    (void)out;
    (void)channel;
}

void dialect_append_publish_target(struct buf *out, struct str channel)
{
    buf_append_lit(out, "/publish");
    dialect_append_channel_query(out, channel);
}

void dialect_append_data_alone(struct buf *out, struct str channel, struct str data)
{
    (void)channel;
    buf_append(out, data);
}
