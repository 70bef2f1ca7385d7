/* count_publish.c - the way of an event into the server: by the HTTP API from the request to the answer, or by Redis.
 * Then the making of the one frame that all subscribers get. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/instructions/audience.h"
#include "bench/instructions/measure.h"
#include "server/api/api.h"
#include "server/broker/redis/redis_event.h"
#include "server/core/message.h"

enum { TIMES = 1000, BATCH = 100, DATA_BYTES = 128 };

#define KEY  "a key of the counts, long enough"
#define DATA "{\"text\":\"%0117d\"}"

/* The broker of these calls: it keeps what is published until the call has returned, and then accepts it. */
struct desk {
    struct publication *publications[BATCH];
    size_t count;
    size_t answered;
};

static void take_request(void *owner, struct request *request)
{
    struct desk *desk = owner;
    desk->publications[desk->count++] = publication_of(request);
}

static uint64_t tell_now(void *owner)
{
    (void)owner;
    return 1;
}

static const struct api_ops ops = {.ask = take_request, .now_us = tell_now};

static void accept_all(struct desk *desk)
{
    for (size_t i = 0; i < desk->count; i++) {
        struct publication *publication = desk->publications[i];
        memcpy(publication->id, "0197c1a0-0000-7000-8000-000000000000", UUID_LEN);
        publication->base.done(&publication->base, desk);
    }
    desk->count = 0;
}

static size_t responses;

static void note_response(struct http_call *call)
{
    if (call->response.status != 200) {
        fprintf(stderr, "status %d: %s\n", call->response.status, buf_cstr(&call->response.body));
        abort();
    }
    responses++;
    buf_fini(&call->response.body);
}

static void request(struct api *api, struct desk *desk, struct str path, struct str body)
{
    struct http_call call = {
        .request = {.method = STR("POST"),
                    .path = path,
                    .query = STR(""),
                    .authorization = STR("Bearer " KEY),
                    .api_key = STR(""),
                    .body = body,
                    .address = STR("127.0.0.1")},
        .respond = note_response,
    };
    api_handle(api, &call);
    accept_all(desk);
}

static void append_publish(struct buf *out)
{
    buf_appendf(out, "{\"channel\":\"bench:room\",\"type\":\"note\",\"data\":" DATA "}", 0);
}

static void append_batch(struct buf *out)
{
    buf_append_lit(out, "{\"commands\":[");
    for (int i = 0; i < BATCH; i++) {
        buf_append_lit(out, "{\"publish\":");
        append_publish(out);
        buf_append(out, i + 1 < BATCH ? STR("},") : STR("}"));
    }
    buf_append_lit(out, "]}");
}

static void count_http(size_t rule_count)
{
    const struct api_identity identity = {
        .node_id = STR("node-0"), .build = STR("{\"version\":\"0\"}"), .broker_kind = "memory"};
    struct desk desk = {.count = 0};
    struct metrics metrics;
    struct rules *rules = audience_rules(rule_count);
    struct str key = STR(KEY);
    struct api_config config = {
        .keys = &key, .key_count = 1, .event_bytes = 65536, .max_batch = BATCH, .rules = rules, .custom_events = true};
    metrics_init(&metrics, 0);
    struct api *api = api_create(&config, &ops, &desk, &identity, &metrics, NULL);
    struct buf one = {0}, many = {0};
    append_publish(&one);
    append_batch(&many);
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (int i = 0; i < TIMES; i++)
            request(api, &desk, STR("/api/v1/publish"), buf_str(&one));
        measure_to_number("http_publish", "rules", rule_count, TIMES);
        measure_from();
        for (int i = 0; i < TIMES / BATCH; i++)
            request(api, &desk, STR("/api/v1/batch"), buf_str(&many));
        measure_to_number("http_batch_of_100_each_event", "rules", rule_count, TIMES);
    }
    measure_off();
    buf_fini(&one);
    buf_fini(&many);
    api_destroy(api);
    rules_unref(rules);
}

static struct event make_event(char data[DATA_BYTES + 1])
{
    snprintf(data, DATA_BYTES + 1, DATA, 0);
    return (struct event){.channel = STR("bench:room"),
                          .type = STR("note"),
                          .id = STR("0197c1a0-0000-7000-8000-000000000000"),
                          .epoch = STR("k3v9q2"),
                          .offset = 123456,
                          .timestamp = STR("2026-01-15T10:30:00.000Z"),
                          .data = str_from_cstr(data)};
}

static void count_encoding(void)
{
    char data[DATA_BYTES + 1];
    struct event event = make_event(data);
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (int i = 0; i < TIMES; i++)
            message_unref(message_from_event(&event, 1));
        measure_to_number("event_to_frame", "data_bytes", event.data.len, TIMES);
    }
    measure_off();
}

static void count_redis(void)
{
    static const struct event_limits limits = {.custom = true, .data_bytes = 65536};
    char data[DATA_BYTES + 1];
    struct event event = make_event(data), found;
    struct buf bytes = {0}, scratch = {0};
    bool direct;
    redis_event_head(&bytes, &event);
    buf_append_lit(&bytes, ",\"epoch\":\"k3v9q2\",\"offset\":123456");
    redis_event_tail(&bytes, &event);
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (int i = 0; i < TIMES; i++)
            if (redis_event_parse(buf_str(&bytes), event.channel, &limits, &scratch, &found, &direct, NULL))
                abort();
        measure_to_number("redis_event_parse", "data_bytes", event.data.len, TIMES);
    }
    measure_off();
    buf_fini(&bytes);
    buf_fini(&scratch);
}

int main(void)
{
    static const size_t rules[] = {1, 100, 10000};
    for (size_t i = 0; i < 3; i++)
        count_http(rules[i]);
    count_encoding();
    count_redis();
    return responses == 0;
}
