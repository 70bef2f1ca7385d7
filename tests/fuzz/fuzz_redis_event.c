/* fuzz_redis_event.c - messages on live channels. What is accepted must make an event that is one valid JSON object. */
#include <stdlib.h>

#include "common/json/json.h"
#include "server/broker/redis_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const struct redis_event_rules rules = {.custom = true, .event_bytes = 1 << 20};
    struct buf scratch = {0};
    struct buf encoded = {0};
    struct event event;
    bool direct;
    struct error error;
    struct str text = str_from((const char *)bytes, len);
    if (!redis_event_parse(text, STR("c:1"), &rules, &scratch, &event, &direct, &error)) {
        static const struct json_limits limits = {.depth = 34, .values = 100100};
        struct json_value whole;
        event_encode(&encoded, &event);
        if (json_check(buf_str(&encoded), &limits, &whole, &error) || whole.type != JSON_OBJECT)
            abort();
    }
    struct position position;
    if (redis_event_parse_epoch(text, &scratch, &position) && (!position.epoch.len || position.epoch.len > EPOCH_MAX))
        abort();
    buf_fini(&scratch);
    buf_fini(&encoded);
    return 0;
}
