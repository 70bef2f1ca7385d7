/* net_fixture.c - see net_fixture.h. */
#include "tests/unit/net/net_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/token/issue.h"
#include "server/dialect/carillon.h"
#include "server/net/ws/ws.h"
#include "tests/support/unit.h"

enum { PATIENCE_US = 20000000 };

static void no_join(void *owner, unsigned worker, struct str channel, const struct channel_join *join)
{
}

static void no_leave(void *owner, unsigned worker, struct str channel)
{
}

static void ask(void *owner, struct request *request)
{
    static const char *const words[] = {"take ", "keep ", "leave "};
    struct net_fixture *fixture = owner;
    struct session_slot_request *slot = CONTAINER_OF(request, struct session_slot_request, base);
    if (request->kind != REQUEST_SESSION_SLOT) {
        request_destroy(request);
        return;
    }
    buf_append(&fixture->slots, str_from_cstr(words[slot->action]));
    if (slot->action == SESSION_SLOT_TAKE)
        fixture->slot = slot;
    else
        request_answer(request);
}

static const struct node_ops nowhere = {.join = no_join, .leave = no_leave, .ask = ask};

static void serve(void *owner, struct http_call *call)
{
    struct net_fixture *fixture = owner;
    call->response.status = 200;
    if (str_eq(call->request.path, STR("/later"))) {
        fixture->held = call;
        return;
    }
    buf_appendf(&call->response.body, "%.*s %.*s?%.*s [%.*s]", STR_ARG(call->request.method),
                STR_ARG(call->request.path), STR_ARG(call->request.query), STR_ARG(call->request.body));
    if (str_eq(call->request.path, STR("/big")))
        for (int i = 0; i < 1000000; i++)
            buf_append_lit(&call->response.body, "0123456789");
    call->respond(call);
}

static bool admit(void *owner, struct http_call *call)
{
    (void)owner;
    if (!str_eq(call->request.path, STR("/refused")))
        return true;
    call->response.status = 401;
    call->respond(call);
    return false;
}

static const struct http_handler handler = {.admit = admit, .serve = serve};

void fixture_make_token(struct net_fixture *fixture, const struct token_keys *keys)
{
    struct buf token = {0};
    char payload[100];
    snprintf(payload, sizeof payload, "{\"sub\":\"u\",\"exp\":%llu%s}",
             (unsigned long long)clock_wall_ms() / 1000 + 600, fixture->more_claims ? fixture->more_claims : "");
    assert_int_equal(token_issue(keys, 0, STR(""), str_from_cstr(payload), &token, NULL), ERR_NONE);
    snprintf(fixture->token, sizeof fixture->token, "%s", buf_cstr(&token));
    buf_fini(&token);
}

struct token_keys *fixture_make_keys(const char *secret)
{
    struct token_keys *keys = token_keys_create();
    assert_int_equal(token_keys_add_secret(keys, "test", STR(""), 0, str_from_cstr(secret), NULL), ERR_NONE);
    return keys;
}

struct net_fixture *fixture_create(void)
{
    struct net_fixture *fixture = xcalloc(1, sizeof *fixture);
    struct net_settings *settings = fixture->settings = net_settings_create();
    struct net_endpoint *endpoint = net_settings_add_endpoint(settings, STR("/ws"), &ws_transport, &carillon_dialect);
    endpoint->base.limits = (struct endpoint_limits){.message_bytes = 1000, .channels = 10};
    fixture->keys = fixture_make_keys("0123456789abcdef0123456789abcdef");
    settings->head_bytes = 4096;
    settings->head_timeout_us = 300000;
    settings->body_bytes = 100000;
    settings->bodies_bytes = 200000;
    settings->body_timeout_us = 300000;
    settings->keepalive_timeout_us = 300000;
    settings->retry_after_s = 7;
    settings->max_connections = 100;
    settings->max_internal = 100;
    settings->max_pending = 100;
    fixture->hub_settings = (struct hub_settings){
        .outbox_max_bytes = 100000,
        .outbox_max_messages = 100,
        .event_bytes = 1000,
        .close_timeout_us = 300000,
    };
    fixture_make_token(fixture, fixture->keys);
    return fixture;
}

void fixture_start(struct net_fixture *fixture)
{
    struct error error = {0};
    struct rule all = {.match = STR("*"), .allow = ALLOW_ALL};
    uv_loop_init(&fixture->loop);
    turn_init(&fixture->turn, &fixture->loop);
    metrics_init(&fixture->metrics, 0);
    fixture->rules = rules_create(&all, 1);
    fixture->quota = quota_create();
    struct worker_options options = {
        .count = 1,
        .loop = &fixture->loop,
        .turn = &fixture->turn,
        .settings = fixture->settings,
        .keys = fixture->keys,
        .hub_settings = &fixture->hub_settings,
        .rules = fixture->rules,
        .metrics = &fixture->metrics,
        .quota = fixture->quota,
        .node = &nowhere,
        .node_owner = fixture,
        .outside_steps = fixture->outside_steps,
    };
    if (worker_create(&options, &fixture->worker, &error))
        fail_msg("%s", error.text);
    fixture->connections = &fixture->worker->connections;
    worker_serve_with(fixture->worker, &handler, fixture);
    worker_start(fixture->worker);
    for (int i = 0; i < 2; i++) {
        struct listener_options listen = {
            .loop = &fixture->loop,
            .internal = i == 1,
            .workers = &fixture->connections,
            .worker_count = 1,
            .metrics = &fixture->metrics,
        };
        fixture->listeners[i] = listener_create(&listen, fixture->settings);
        if (listener_bind(fixture->listeners[i], "127.0.0.1", 0, &error))
            fail_msg("%s", error.text);
        listener_start(fixture->listeners[i]);
    }
}

void fixture_destroy(struct net_fixture *fixture)
{
    listener_destroy(fixture->listeners[0]);
    listener_destroy(fixture->listeners[1]);
    worker_stop(fixture->worker);
    worker_destroy(fixture->worker);
    assert_int_equal(quota_count(fixture->quota, QUOTA_SESSIONS, STR("")), 0);
    quota_destroy(fixture->quota);
    rules_unref(fixture->rules);
    net_settings_unref(fixture->settings);
    token_keys_unref(fixture->keys);
    buf_fini(&fixture->slots);
    turn_close(&fixture->turn);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    free(fixture);
}

int fixture_connect(struct net_fixture *fixture, bool internal)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    to.sin_port = htons(listener_port(fixture->listeners[internal]));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

void fixture_send(int fd, struct str bytes)
{
    assert_int_equal(send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL), bytes.len);
}

void fixture_turn(struct net_fixture *fixture)
{
    uv_run(&fixture->loop, UV_RUN_ONCE);
}

char *fixture_read(struct net_fixture *fixture, int fd, const char *until)
{
    struct buf got = {0};
    uint64_t end_us = clock_now_us() + PATIENCE_US;
    while (clock_now_us() < end_us) {
        buf_reserve(&got, 65536);
        ssize_t n = recv(fd, got.ptr + got.len, 65536 - 1, MSG_DONTWAIT);
        if (n == 0)
            return (void)buf_cstr(&got), got.ptr;
        if (n > 0) {
            got.len += (size_t)n;
            if (until && memmem(got.ptr, got.len, until, strlen(until)))
                return (void)buf_cstr(&got), got.ptr;
        } else {
            uv_run(&fixture->loop, UV_RUN_ONCE); /* the worker's tick ends the wait at the latest */
        }
    }
    fail_msg("waited for %s, got: %s", until ? until : "the end", buf_cstr(&got));
    return NULL;
}

struct str fixture_handshake(char out[2048], const char *target, const char *lines)
{
    int len = snprintf(out, 2048,
                       "GET %s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                       target, lines);
    return str_from(out, (size_t)len);
}

struct str fixture_frame(char out[256], int first_byte, const char *payload)
{
    size_t len = strlen(payload);
    assert_true(len < 126);
    out[0] = (char)first_byte;
    out[1] = (char)(0x80 | len);
    memset(out + 2, 0, 4); /* a mask of zeros */
    memcpy(out + 6, payload, len);
    return str_from(out, len + 6);
}
