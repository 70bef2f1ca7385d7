/* test_subscribe_step.c - automatic subscriptions of an endpoint, by the rules and the rights of the user. */
#include <stdio.h>
#include <unistd.h>

#include "server/dialect/carillon.h"
#include "server/net/entry/subscribe_step.h"
#include "server/net/ws/ws.h"
#include "tests/support/unit.h"
#include "tests/unit/net/net_fixture.h"

static int set_up(void **state)
{
    struct net_fixture *fixture = fixture_create();
    struct net_endpoint *endpoint =
        net_settings_add_endpoint(fixture->settings, STR("/chat/{room}/{part}"), &ws_transport, &carillon_dialect);
    endpoint->base.limits = (struct endpoint_limits){.message_bytes = 1000, .channels = 3};
    fixture->more_claims = ",\"team\":\"a*b\",\"level\":7,\"empty\":\"\"";
    fixture_make_token(fixture, fixture->keys);
    fixture_start(fixture);
    const struct rule rules[] = {
        {.match = STR("room:*"), .allow = ALLOW_ALL},
        {.match = STR("user:{sub}"), .allow = ALLOW_SUBSCRIBE},
        {.match = STR("team:{team}:{level}"), .allow = ALLOW_SUBSCRIBE},
        {.match = STR("session:*"), .allow = ALLOW_SUBSCRIBE},
        {.match = STR("mute:*"), .allow = ALLOW_PUBLISH},
    };
    struct rules *made = rules_create(rules, COUNT_OF(rules));
    worker_configure(fixture->worker, fixture->settings, &fixture->hub_settings, made);
    rules_unref(made);
    fixture_turn(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static void add(struct net_fixture *fixture, const char *template)
{
    texts_add(&fixture->settings->endpoints[1]->subscribe, str_from_cstr(template));
}

static int ask(struct net_fixture *fixture, const char *path, const char *lines)
{
    char head[2048], target[700];
    int fd = fixture_connect(fixture, false);
    snprintf(target, sizeof target, "%s?token=%s", path, fixture->token);
    fixture_send(fd, fixture_handshake(head, target, lines));
    return fd;
}

static struct session *enter(struct net_fixture *fixture, const char *path, int *out_fd)
{
    size_t cursor = 0;
    *out_fd = ask(fixture, path, "");
    free(fixture_read(fixture, *out_fd, "session_init"));
    return session_index_next(hub_sessions(fixture->worker->hub), &cursor);
}

static void templates_are_filled_in(void **state)
{
    struct net_fixture *fixture = *state;
    char own[64];
    int fd;
    add(fixture, "room:{room}-{part}");
    add(fixture, "team:{team}:{level}");
    add(fixture, "session:{session_id}");
    struct session *session = enter(fixture, "/chat/a%3A*/b", &fd);
    snprintf(own, sizeof own, "session:%s", session->uuid);
    const char *const expected[] = {"room:a:*-b", "team:a*b:7", own};
    assert_int_equal(session->subscription_count, COUNT_OF(expected));
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_non_null(hub_channel(fixture->worker->hub, str_from_cstr(expected[i])));
        assert_false(session->subscriptions[i].by_backend);
    }
    close(fd);
}

static void those_over_the_limit_or_given_twice_are_left_out(void **state)
{
    struct net_fixture *fixture = *state;
    int fd;
    for (int i = 0; i < 2; i++) {
        add(fixture, "room:{room}");
        add(fixture, "room:{part}");
        add(fixture, "user:{sub}");
    }
    add(fixture, "room:more");
    assert_int_equal(enter(fixture, "/chat/x/y", &fd)->subscription_count, 3);
    close(fd);
}

static void a_client_without_the_right_is_refused(void **state)
{
    static const struct {
        const char *template, *path, *says;
    } rows[] = {
        {"other:{room}", "/chat/x/y", "no rule"},
        {"mute:{room}", "/chat/x/y", "subscribe"},
        {"user:{room}", "/chat/x/y", "user:x\\\": this is another user's channel"},
        {"room:{missing}", "/chat/x/y", "no claim \\\"missing\\\""},
        {"room:{empty}", "/chat/x/y", "no claim \\\"empty\\\""},
    };
    struct net_fixture *fixture = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        texts_clear(&fixture->settings->endpoints[1]->subscribe);
        add(fixture, "room:{room}");
        add(fixture, rows[i].template);
        int fd = ask(fixture, rows[i].path, "");
        char *got = fixture_read(fixture, fd, NULL);
        if (!strstr(got, "HTTP/1.1 403 ") || !strstr(got, "\"reason\":\"channel_denied\"") ||
            !strstr(got, rows[i].says))
            fail_msg("%s: %s", rows[i].template, got);
        free(got);
        close(fd);
        for (int part = 0; part < 2; part++) { /* the error frame, the close frame */
            fd = ask(fixture, rows[i].path, "Origin: https://x\r\n");
            free(fixture_read(fixture, fd,
                              part ? "\x03\xf0"
                                     "channel_denied"
                                   : rows[i].says));
            close(fd);
        }
    }
    assert_int_equal(hub_sessions(fixture->worker->hub)->count, 0);
    while (quota_count(fixture->quota, QUOTA_SESSIONS, STR("")) > 0)
        fixture_turn(fixture);
}

/* A refresh with fewer rights ends it, unlike one that a backend has asked for. */
static void it_is_the_users_own(void **state)
{
    struct net_fixture *fixture = *state;
    char frame[1024], text[700];
    int fd;
    add(fixture, "team:{team}:{level}");
    add(fixture, "room:{room}");
    struct session *session = enter(fixture, "/chat/x/y", &fd);
    assert_int_equal(session->subscription_count, 2);
    fixture->more_claims = NULL;
    fixture_make_token(fixture, fixture->keys);
    int len =
        snprintf(text, sizeof text, "{\"type\":\"refresh\",\"id\":1,\"data\":{\"token\":\"%s\"}}", fixture->token);
    assert_true(len > 125);
    const unsigned char begin[] = {0x81, 0x80 | 126, (unsigned char)(len >> 8), (unsigned char)len, 0, 0, 0, 0};
    memcpy(frame, begin, sizeof begin);
    memcpy(frame + sizeof begin, text, (size_t)len);
    fixture_send(fd, str_from(frame, sizeof begin + (size_t)len));
    free(fixture_read(fixture, fd, "\"unsubscribed\",\"channel\":\"team:a*b:7\""));
    assert_int_equal(session->subscription_count, 1);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(templates_are_filled_in),
        TEST(those_over_the_limit_or_given_twice_are_left_out),
        TEST(a_client_without_the_right_is_refused),
        TEST(it_is_the_users_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
