/* nats_message.c - see nats_message.h. */
#include "bench/load/dialects/nats_message.h"

enum { LINE_MAX = 64 * 1024 };

static enum nats_result kind_of(struct str line)
{
    static const struct {
        struct str start;
        enum nats_result kind;
    } kinds[] = {
        {{"MSG ", 4}, NATS_MSG},   {{"PING", 4}, NATS_PING}, {{"PONG", 4}, NATS_PONG},
        {{"INFO ", 5}, NATS_INFO}, {{"+OK", 3}, NATS_OK},    {{"-ERR", 4}, NATS_ERR},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (str_starts_with(line, kinds[i].start))
            return kinds[i].kind;
    return NATS_BAD;
}

/* The last word of MSG <subject> <sid> [reply-to] <bytes>. */
static bool payload_length(struct str line, uint64_t *out)
{
    size_t start = line.len;
    while (start > 0 && line.ptr[start - 1] != ' ')
        start--;
    return str_to_u64(str_from(line.ptr + start, line.len - start), out);
}

enum nats_result nats_next(struct str *bytes, struct str *out)
{
    const char *end = bytes->len ? memmem(bytes->ptr, bytes->len, "\r\n", 2) : NULL;
    uint64_t length = 0;
    if (!end && bytes->len <= LINE_MAX)
        return NATS_MORE;
    struct str line = str_from(bytes->ptr, end ? (size_t)(end - bytes->ptr) : LINE_MAX);
    size_t used = line.len + 2;
    enum nats_result kind = end ? kind_of(line) : NATS_BAD;
    struct str found = line;
    if (kind == NATS_MSG) {
        if (!payload_length(line, &length) || length > SIZE_MAX - used - 2) {
            kind = NATS_BAD;
        } else {
            size_t whole = used + (size_t)length + 2;
            if (bytes->len < whole)
                return NATS_MORE;
            found = str_from(bytes->ptr + used, (size_t)length);
            used = whole;
        }
    }
    *out = found;
    *bytes = kind == NATS_BAD ? STR("") : str_from(bytes->ptr + used, bytes->len - used);
    return kind;
}

void nats_append_subject(struct buf *out, struct str channel)
{
    for (size_t i = 0; i < channel.len; i++)
        buf_append_char(out, channel.ptr[i] == ':' ? '.' : channel.ptr[i]);
}

void nats_append_connect(struct buf *out)
{
    buf_append_lit(
        out, "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1}\r\n");
}

void nats_append_subscribe(struct buf *out, struct str channel)
{
    if (channel.len > 0) {
        buf_append_lit(out, "SUB ");
        nats_append_subject(out, channel);
        buf_append_lit(out, " 1\r\n");
    }
    buf_append_lit(out, "PING\r\n");
}

void nats_append_publish(struct buf *out, struct str channel, struct str payload)
{
    buf_append_lit(out, "PUB ");
    nats_append_subject(out, channel);
    buf_append_char(out, ' ');
    buf_append_u64(out, payload.len);
    buf_append_lit(out, "\r\n");
    buf_append(out, payload);
    buf_append_lit(out, "\r\n");
}
