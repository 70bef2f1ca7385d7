/* fuzz_api.c - requests of the HTTP API, head and body, with a good key. Paths, queries and JSON are as a backend's
 * mistake may make them, or the text of a stranger within them. Each request is answered once, with JSON, whatever
 * the broker then says. */
#include <stdlib.h>

#include "common/json/json.h"
#include "common/protocol/http_head.h"
#include "server/api/api.h"
#include "server/core/presence.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { HEAD_MAX = 4096, KEPT_MAX = 64 };

/* The requests of the API to its node. They are answered after it has returned. */
static struct asked {
    struct request *publications[KEPT_MAX];
    size_t publication_count;
    struct request *other;
    unsigned responses;
} asked;

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void take_request(void *owner, struct request *request)
{
    (void)owner;
    if (request->kind == REQUEST_PUBLISH) {
        require(asked.publication_count < KEPT_MAX);
        asked.publications[asked.publication_count++] = request;
    } else {
        require(!asked.other);
        asked.other = request;
    }
}

static size_t no_revocations(void *owner)
{
    (void)owner;
    return 0;
}

static enum broker_state broker_is_up(void *owner)
{
    (void)owner;
    return BROKER_UP;
}

static bool is_not_draining(void *owner)
{
    (void)owner;
    return false;
}

static void write_metrics(void *owner, struct buf *out)
{
    (void)owner;
    buf_append_lit(out, "# EOF\n");
}

static uint64_t tell_time(void *owner)
{
    (void)owner;
    return 1000000;
}

static const struct api_ops ops = {
    .ask = take_request,
    .revocation_count = no_revocations,
    .broker_state = broker_is_up,
    .draining = is_not_draining,
    .metrics_text = write_metrics,
    .now_us = tell_time,
    .wall_ms = tell_time,
};

static void note_response(struct http_call *call)
{
    (void)call;
    asked.responses++;
}

/* The broker refuses every second publication, and every read of an odd length of name. */
static void answer_what_was_asked(void)
{
    struct request *other = asked.other;
    for (size_t i = 0; i < asked.publication_count; i++) {
        struct request *publication = asked.publications[i];
        if (i % 2)
            request_fail(publication, ERR_UNAVAILABLE, "not now");
        publication->done(publication, NULL);
    }
    if (!other)
        return;
    if (other->kind == REQUEST_HISTORY && other->channel.len % 2)
        request_fail(other, ERR_UNAVAILABLE, "not now");
    else if (other->kind == REQUEST_HISTORY)
        history_read_add_json(history_read_of(other), 1, STR(""), STR("{}"));
    other->done(other, NULL);
}

static void check_answer(const struct http_response *response)
{
    struct json_value value;
    struct json_limits limits = {.depth = JSON_DEPTH_MAX};
    require(asked.responses == 1 && response->status >= 200 && response->status < 600);
    if (!response->content_type)
        require(json_check(buf_str(&response->body), &limits, &value, NULL) == ERR_NONE && value.type == JSON_OBJECT);
}

static struct api *make_api(void)
{
    static const struct str key = {"a key that is good", 18};
    const struct api_identity identity = {
        .node_id = STR("node-0"), .build = STR("{\"version\":\"1\"}"), .broker_kind = "memory"};
    static struct metrics metrics;
    struct rule rule[] = {{.match = STR("log:*"),
                           .allow = ALLOW_ALL,
                           .presence = {.kept = true, .ttl_ms = 1000},
                           .history = {.size = 10, .ttl_ms = 1000}}};
    struct api_config config = {
        .keys = &key,
        .key_count = 1,
        .event_bytes = 1000,
        .max_batch = 20,
        .rules = rules_create(rule, 1),
        .custom_events = true,
        .revocation_ttl_ms = 5000,
        .revocations_max = 10,
        .ticket_claims_bytes = 1000,
    };
    metrics_init(&metrics, 0);
    struct api *api = api_create(&config, &ops, NULL, &identity, &metrics, NULL);
    rules_unref(config.rules);
    return api;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct http_head head;
    size_t scanned = 0;
    struct str input = str_from((const char *)bytes, len), content_type = STR("");
    if (http_head_parse(input, HEAD_MAX, &scanned, &head, NULL) != HTTP_HEAD_DONE)
        return 0;
    http_head_find(&head, STR("content-type"), &content_type);
    struct api *api = make_api();
    struct http_call call = {
        .request = {.method = head.method,
                    .path = head.path,
                    .query = head.query,
                    .authorization = STR(""),
                    .api_key = STR("a key that is good"),
                    .content_type = content_type,
                    .has_body = len > head.length,
                    .body = str_from(input.ptr + head.length, len - head.length),
                    .address = STR("127.0.0.1")},
        .respond = note_response,
    };
    asked = (struct asked){0};
    if (api_admit(api, &call)) {
        api_handle(api, &call);
        answer_what_was_asked();
    }
    check_answer(&call.response);
    buf_fini(&call.response.body);
    api_destroy(api);
    return 0;
}
