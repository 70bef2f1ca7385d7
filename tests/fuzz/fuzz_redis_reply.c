/* fuzz_redis_reply.c - the bytes of a server, in pieces. hiredis reads only bytes that the guard has let pass. Both
 * find the same number of replies in them. Then nodes read from the replies where slots and primaries are. The first
 * byte of an input is the size of the pieces. If it is even, the other bytes are sent as they are. If it is odd, they
 * are made into a well-formed answer to CLUSTER SLOTS. */
#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "server/broker/redis/client/redis_guard.h"
#include "server/broker/redis/topology/redis_slots.h"
#include "server/broker/redis/topology/redis_whereabouts.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { BYTES_MAX = 1 << 16 };

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_whereabouts(const struct redis_whereabouts *where)
{
    uint64_t port;
    check(where->first <= where->last && where->last < REDIS_SLOTS && where->host.len <= REDIS_HOST_MAX);
    check(!where->host.len || !memchr(where->host.ptr, '\0', where->host.len));
    check(str_to_u64(where->port, &port) && port >= 1 && port <= 65535);
}

static void look_at(const redisReply *reply)
{
    struct redis_whereabouts where;
    if (reply->type == REDIS_REPLY_ERROR) {
        struct str text = str_from(reply->str, (size_t)reply->len);
        if (redis_whereabouts_of_error(text, STR("MOVED"), &where) ||
            redis_whereabouts_of_error(text, STR("ASK"), &where))
            check_whereabouts(&where);
    }
    if (redis_whereabouts_of_primary(reply, &where))
        check_whereabouts(&where);
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        if (redis_whereabouts_of_range(reply->element[i], &where))
            check_whereabouts(&where);
}

/* Ranges of slots. Each is made of six bytes and a host. The numbers may be out of all bounds. */
static void make_slots(struct buf *out, struct str from)
{
    size_t count = from.len / 8;
    buf_appendf(out, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = (const uint8_t *)from.ptr + i * 8;
        unsigned first = (unsigned)at[0] << 8 | at[1], last = (unsigned)at[2] << 8 | at[3];
        int port = (at[4] << 8 | at[5]) - 100;
        size_t host = at[6] % 8;
        buf_appendf(out, "*3\r\n:%u\r\n:%u\r\n*%d\r\n$%zu\r\n", first, last, at[7] % 4 ? 2 : 3, host);
        buf_append(out, str_from((const char *)at, host));
        buf_appendf(out, "\r\n:%d\r\n%s", port, at[7] % 4 ? "" : "*0\r\n");
    }
}

/* Returns how many replies there were; -1: hiredis has refused some. */
static long read_replies(redisReader *reader)
{
    void *reply;
    long count = 0;
    for (; redisReaderGetReply(reader, &reply) == REDIS_OK; count++) {
        if (!reply)
            return count;
        look_at(reply);
        freeReplyObject(reply);
    }
    return -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct redis_guard guard = {.bytes_max = BYTES_MAX};
    struct buf made = {0};
    if (len == 0)
        return 0;
    size_t piece = bytes[0] / 2 + 1u;
    struct str sent = str_from((const char *)bytes + 1, len - 1);
    if (bytes[0] & 1) {
        make_slots(&made, sent);
        sent = buf_str(&made);
    }
    redisReader *reader = redisReaderCreate();
    uint64_t count = 0;
    for (size_t at = 0; at < sent.len; at += piece) {
        struct str some = str_from(sent.ptr + at, sent.len - at < piece ? sent.len - at : piece);
        if (redis_guard_take(&guard, some, NULL)) {
            check(!(bytes[0] & 1)); /* those are well-formed */
            break;
        }
        redisReaderFeed(reader, some.ptr, some.len);
        long read = read_replies(reader);
        if (read < 0)
            break;
        count += (uint64_t)read;
        check(count == guard.replies);
    }
    redisReaderFree(reader);
    buf_fini(&made);
    return 0;
}
