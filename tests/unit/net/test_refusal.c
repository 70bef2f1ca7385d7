/* test_refusal.c - what an observer is told of requests that become no session: a sentence for a developer. */
#include <stdio.h>
#include <unistd.h>

#include "server/core/observer.h"
#include "tests/support/unit.h"
#include "tests/unit/net/net_fixture.h"

#define ORIGIN "Origin: http://localhost:5173\r\n"

struct listener_of_refusals {
    struct observer observer;
    struct buf heard;
};

static struct listener_of_refusals ear;
static struct net_fixture *fixture;

static void note(struct observer *observer, const struct refusal *refusal)
{
    struct listener_of_refusals *listener = CONTAINER_OF(observer, struct listener_of_refusals, observer);
    assert_str(refusal->address, "127.0.0.1");
    buf_appendf(&listener->heard, "%.*s %d %d %s: %.*s", STR_ARG(refusal->path), refusal->status, refusal->close_code,
                refusal->reason ? reason_text(refusal->reason) : "-", STR_ARG(refusal->sentence));
}

/* Sends the request, and expects the observer's line to be this one. */
static void expect(struct str request, const char *answer, const char *line)
{
    int fd = fixture_connect(fixture, false);
    buf_clear(&ear.heard);
    fixture_send(fd, request);
    free(fixture_read(fixture, fd, answer));
    assert_str(buf_str(&ear.heard), line);
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    fixture = fixture_create();
    texts_add(&fixture->settings->endpoints[0]->origins, STR("http://localhost:*"));
    fixture_start(fixture);
    ear = (struct listener_of_refusals){.observer = {.refused = note}};
    hub_observe(fixture->worker->hub, &ear.observer);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_destroy(fixture);
    buf_fini(&ear.heard);
    return 0;
}

static void a_path_that_is_no_endpoint(void **state)
{
    (void)state;
    char head[2048];
    expect(fixture_handshake(head, "/wss?token=secret", ORIGIN), NULL,
           "/wss 404 0 -: there is nothing at this path: \"/wss\" is no endpoint; the endpoints are /ws (the browser "
           "shows "
           "its page only code 1006)");
    expect(fixture_handshake(head, "/", ""), NULL,
           "/ 404 0 -: there is nothing at this path: \"/\" is no endpoint; the endpoints are /ws");
}

static void a_form_that_is_wrong(void **state)
{
    (void)state;
    char head[2048], target[1400];
    expect(STR("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"), NULL,
           "/ws 426 0 -: this is a WebSocket endpoint: connect with a WebSocket client");
    snprintf(target, sizeof target, "/ws?token=%s", fixture->token);
    expect(
        fixture_handshake(head, target, ORIGIN "Sec-WebSocket-Protocol: carillon.v1, another\r\n"), NULL,
        "/ws 400 0 -: the request carries two different tokens: send one (the browser shows its page only code 1006)");
    expect(STR("\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"), NULL,
           " 400 0 -: control character 0x16 at byte 0 of the head: it is TLS, and this listener has no certificate; "
           "connect to ws:// in "
           "place of wss://");
}

static void a_token_that_is_wrong(void **state)
{
    (void)state;
    char head[2048];
    expect(fixture_handshake(head, "/ws?token=x", ORIGIN), NULL,
           "/ws 101 1008 token_invalid: the token is not valid: a token has three parts joined by two dots");
    expect(fixture_handshake(head, "/ws", ""), NULL,
           "/ws 401 0 token_missing: a token is required: Authorization header, subprotocol or query");
    expect(fixture_handshake(head, "/ws", "Origin: http://evil.example\r\n"), NULL,
           "/ws 101 1008 origin_denied: this origin is not allowed to connect here: it is \"http://evil.example\", and "
           "`origins` of the endpoint has http://localhost:*");
}

static void a_subprotocol_that_a_browser_misses(void **state)
{
    (void)state;
    char head[2048], target[1400];
    snprintf(target, sizeof target, "/ws?token=%s", fixture->token);
    expect(fixture_handshake(head, target, ORIGIN "Sec-WebSocket-Protocol: chat\r\n"), "session_init",
           "/ws 101 0 -: the browser will end this connection with code 1006: it has offered the subprotocol \"chat\", "
           "and "
           "`subprotocols` of the endpoint has carillon.v1");
    expect(fixture_handshake(head, target, "Sec-WebSocket-Protocol: chat\r\n"), "session_init", "");
    expect(fixture_handshake(head, target, ORIGIN "Sec-WebSocket-Protocol: carillon.v1\r\n"), "session_init", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_path_that_is_no_endpoint, setup, teardown),
        cmocka_unit_test_setup_teardown(a_form_that_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_that_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(a_subprotocol_that_a_browser_misses, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
