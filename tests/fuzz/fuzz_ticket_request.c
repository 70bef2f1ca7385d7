/* fuzz_ticket_request.c - requests for tickets at the public listener, head and body, with a good token in place of
 * each "Bearer good". Each is answered once, with JSON or no body, whatever the broker says. No header can be added. */
#include <stdlib.h>

#include "common/json/json.h"
#include "common/protocol/http_head.h"
#include "common/token/issue.h"
#include "server/api/ticket_desk.h"
#include "server/core/ticket.h"
#include "server/net/admission/ticket_settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { HEAD_MAX = 4096 };

static struct asked {
    struct request *request;
    unsigned responses;
} asked;

static struct scene {
    struct admitter admitter;
    struct net_settings *settings;
    struct turn turn;
    struct metrics metrics;
    struct buf token;
    struct ticket_rates *rates;
    struct ticket_desk *desk;
} scene;

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void take(void *owner, struct request *request)
{
    (void)owner;
    require(!asked.request && request->kind == REQUEST_TICKET);
    asked.request = request;
}

static void note_response(struct http_call *call)
{
    (void)call;
    asked.responses++;
}

static void fill_settings(struct net_settings *net)
{
    struct ticket_settings *tickets = net->tickets = ticket_settings_create(STR("/ticket"));
    texts_add(&tickets->origins, STR("https://*.example"));
    tickets->ttl_ms = 30000;
    net->tickets_max = 10;
    require(!json_template_create(STR("{\"ticket\":\"{ticket}\",\"expiresIn\":\"{expires_in}\"}"), ticket_answer_places,
                                  TICKET_ANSWER_PLACES, &tickets->answer, NULL));
    require(!json_template_create(STR("{\"code\":\"{code}\",\"message\":\"no: {message}\"}"), ticket_error_places,
                                  TICKET_ERROR_PLACES, &tickets->error, NULL));
    require(!json_pointer_create(STR("/purpose"), &tickets->purpose, NULL));
    require(!json_pointer_create(STR("/a/0/id"), &tickets->resource, NULL));
}

/* Once, for all inputs. */
static void begin(void)
{
    struct token_keys *keys = token_keys_create();
    require(!token_keys_add_secret(keys, "fuzz", STR(""), 0, STR("0123456789abcdef0123456789abcdef"), NULL));
    require(!token_issue(keys, 0, STR(""), STR("{\"sub\":\"u\",\"exp\":2000000000}"), &scene.token, NULL));
    scene.settings = net_settings_create();
    scene.settings->token_cache_entries = 10;
    scene.settings->token_cache_bytes = 100000;
    fill_settings(scene.settings);
    scene.turn = (struct turn){.begun = true, .wall_ms = 1768473000000};
    metrics_init(&scene.metrics, 0);
    admitter_init(&scene.admitter, scene.settings, keys);
    token_keys_unref(keys);
    scene.admitter.metrics = &scene.metrics;
    scene.admitter.turn = &scene.turn;
    scene.rates = ticket_rates_create();
    const struct ticket_desk_options options = {
        .admitter = &scene.admitter, .rates = scene.rates, .metrics = &scene.metrics, .ask = take};
    scene.desk = ticket_desk_create(&options);
}

static void check_answer(const struct http_response *response)
{
    struct json_value value;
    struct str headers = buf_str(&response->headers);
    require(asked.responses == 1 && response->status >= 200 && response->status < 600);
    require(response->status == 204 || json_check(buf_str(&response->body), NULL, &value, NULL) == ERR_NONE);
    while (headers.ptr && headers.len > 0) {
        struct str line = str_split(&headers, '\n');
        require(line.len > 1 && line.ptr[line.len - 1] == '\r' && !memchr(line.ptr, '\r', line.len - 1));
        require(str_starts_with(line, STR("Access-Control-")) || str_starts_with(line, STR("Cache-Control: ")) ||
                str_starts_with(line, STR("Vary: ")));
    }
}

static void answer_what_was_asked(size_t len)
{
    struct request *request = asked.request;
    if (!request)
        return;
    const struct ticket_request *ticket = ticket_request_of(request);
    require(ticket->key.len == TICKET_KEY_LEN && ticket->facts.purpose.len <= TICKET_TEXT_MAX &&
            ticket->facts.resource.len <= TICKET_TEXT_MAX);
    if (len % 5 == 0)
        request_fail(request, ERR_UNAVAILABLE, "not now");
    request->done(request, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct http_head head;
    size_t scanned = 0;
    struct str input = str_from((const char *)bytes, len);
    struct buf bearer = {0};
    if (http_head_parse(input, HEAD_MAX, &scanned, &head, NULL) != HTTP_HEAD_DONE)
        return 0;
    if (!scene.desk)
        begin();
    struct http_call call = {
        .request = {.method = head.method,
                    .path = head.path,
                    .query = head.query,
                    .authorization = STR(""),
                    .api_key = STR(""),
                    .origin = STR(""),
                    .has_body = len > head.length,
                    .body = str_from(input.ptr + head.length, len - head.length),
                    .address = STR("127.0.0.1"),
                    .address_key = STR("127.0.0.1")},
        .respond = note_response,
    };
    http_head_find(&head, STR("origin"), &call.request.origin);
    http_head_find(&head, STR("authorization"), &call.request.authorization);
    if (str_eq(call.request.authorization, STR("Bearer good"))) {
        buf_append_lit(&bearer, "Bearer ");
        buf_append(&bearer, buf_str(&scene.token));
        call.request.authorization = buf_str(&bearer);
    }
    asked = (struct asked){0};
    if (ticket_desk_admit(scene.desk, &call)) {
        call.request.admitted = true;
        ticket_desk_serve(scene.desk, &call);
        answer_what_was_asked(len);
    }
    check_answer(&call.response);
    buf_fini(&call.response.body);
    buf_fini(&call.response.headers);
    buf_fini(&bearer);
    return 0;
}
