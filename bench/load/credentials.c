/* credentials.c - see credentials.h. */
#include "bench/load/credentials.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/json/json.h"
#include "common/token/issue.h"

enum { LIFETIME_S = 12 * 3600 };

enum err credentials_make(const struct token_keys *keys, struct str channel, size_t first, size_t count,
                          struct buf **out, struct error *error)
{
    struct buf *tokens = xcalloc(count, sizeof *tokens);
    struct buf payload = {0}, rooms = {0};
    uint64_t now_s = clock_wall_ms() / 1000;
    enum err err = ERR_NONE;
    *out = tokens;
    buf_append(&rooms, channel);
    buf_append_lit(&rooms, ":*");
    for (size_t i = 0; i < count && !err; i++) {
        buf_clear(&payload);
        buf_appendf(&payload, "{\"sub\":\"bench-%zu\",\"iat\":%llu,\"exp\":%llu,\"channels\":[", first + i,
                    (unsigned long long)now_s, (unsigned long long)(now_s + LIFETIME_S));
        json_append_string(&payload, channel);
        buf_append_char(&payload, ',');
        json_append_string(&payload, buf_str(&rooms));
        buf_append_lit(&payload, "]}");
        err = token_issue(keys, 0, STR(""), buf_str(&payload), &tokens[i], error);
    }
    buf_fini(&payload);
    buf_fini(&rooms);
    return err;
}

void credentials_free(struct buf *tokens, size_t count)
{
    for (size_t i = 0; tokens && i < count; i++)
        buf_fini(&tokens[i]);
    free(tokens);
}
