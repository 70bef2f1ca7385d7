/* redis_keys.c - see redis_keys.h. */
#include "server/broker/redis/redis_keys.h"

static void append_escaped(struct buf *out, struct str channel)
{
    for (size_t i = 0; i < channel.len; i++) {
        char c = channel.ptr[i];
        if (c == '%')
            buf_append_lit(out, "%25");
        else if (c == '{')
            buf_append_lit(out, "%7B");
        else if (c == '}')
            buf_append_lit(out, "%7D");
        else
            buf_append_char(out, c);
    }
}

bool redis_name_is_good(struct str name, const char *others)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr(others, c))))
            return false;
    }
    return name.len >= 1 && name.len <= REDIS_NAME_MAX;
}

void redis_pubsub_prefix_append(struct buf *out, struct str prefix, unsigned database)
{
    buf_append(out, prefix);
    if (database)
        buf_appendf(out, ":@%u", database);
}

void redis_key_append(struct buf *out, struct str prefix, struct str channel, struct str suffix)
{
    buf_append(out, prefix);
    buf_append_lit(out, ":{");
    append_escaped(out, channel);
    buf_append_lit(out, "}:");
    buf_append(out, suffix);
}

void redis_keys_set(struct redis_keys *keys, struct str prefix, struct str pubsub_prefix, struct str channel,
                    struct str event_id)
{
    static const struct str suffixes[] = {{"meta", 4}, {"log", 3}, {"live", 4}, {"id:", 3}};
    struct str *const out[] = {&keys->meta, &keys->log, &keys->live, &keys->id};
    size_t count = event_id.len ? 4 : 3;
    buf_clear(&keys->bytes);
    /* All bytes are reserved first, so that earlier keys stay in place. */
    buf_reserve(&keys->bytes, count * (pubsub_prefix.len + 3 * channel.len + 8) + event_id.len);
    keys->id = STR("");
    for (size_t i = 0; i < count; i++) {
        size_t begin = keys->bytes.len;
        redis_key_append(&keys->bytes, i == 2 ? pubsub_prefix : prefix, channel, suffixes[i]);
        if (i == 3)
            buf_append(&keys->bytes, event_id);
        *out[i] = str_from(keys->bytes.ptr + begin, keys->bytes.len - begin);
    }
}
