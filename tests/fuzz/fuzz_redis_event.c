/* fuzz_redis_event.c - messages on live channels. Accepted bytes must make an event that is one valid JSON object. */
#include <stdlib.h>

#include "common/json/json.h"
#include "server/broker/redis/redis_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The event that is parsed again is the same. */
static void check_decoded(const struct event *event, struct str json)
{
    struct buf scratch = {0};
    struct event again;
    event_decode(json, &scratch, &again);
    if (!str_eq(again.channel, event->channel) || !str_eq(again.type, event->type) || !str_eq(again.id, event->id) ||
        again.offset != event->offset || !str_eq(again.timestamp, event->timestamp) || !str_eq(again.data, event->data))
        abort();
    buf_fini(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const struct event_limits limits = {.custom = true, .data_bytes = 1 << 20};
    struct buf scratch = {0};
    struct buf encoded = {0};
    struct event event;
    bool direct;
    struct error error;
    struct str text = str_from((const char *)bytes, len);
    if (!redis_event_parse(text, STR("c:1"), &limits, &scratch, &event, &direct, &error)) {
        const struct json_limits json = {.depth = JSON_DEPTH_MAX, .values = len + 10};
        struct json_value whole;
        event_encode(&encoded, &event);
        if (json_check(buf_str(&encoded), &json, &whole, &error) || whole.type != JSON_OBJECT)
            abort();
        check_decoded(&event, buf_str(&encoded));
    }
    struct position position;
    if (redis_event_parse_epoch(text, &scratch, &position) && (!position.epoch.len || position.epoch.len > EPOCH_MAX))
        abort();
    buf_fini(&scratch);
    buf_fini(&encoded);
    return 0;
}
