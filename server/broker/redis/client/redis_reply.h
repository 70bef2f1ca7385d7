/* redis_reply.h - small functions for commands to Redis and their answers. Pure, for any thread. */
#ifndef CARILLON_BROKER_REDIS_CLIENT_REDIS_REPLY_H
#define CARILLON_BROKER_REDIS_CLIENT_REDIS_REPLY_H

#include <hiredis/hiredis.h>
#include <stdio.h>

#include "common/base/str.h"

/* The text of the reply, which lies in it; empty if the reply is no text. */
static inline struct str redis_text(const redisReply *reply)
{
    bool text = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
    return text ? str_from(reply->str, (size_t)reply->len) : STR("");
}

/* The number in digits, which lie in out. */
static inline struct str redis_number(uint64_t value, char out[24])
{
    return str_from(out, (size_t)snprintf(out, 24, "%llu", (unsigned long long)value));
}

static inline bool redis_is_error(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR;
}

/* The error ends by itself, and until then no command works at that server. Errors of a cluster that end by themselves
 * are not among them: a request is sent again after those (redis_request.h). */
static inline bool redis_is_passing(const redisReply *error)
{
    static const char *const codes[] = {"LOADING ", "BUSY ", "MASTERDOWN "};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (str_starts_with(str_from(error->str, (size_t)error->len), str_from_cstr(codes[i])))
            return true;
    return false;
}

#endif
