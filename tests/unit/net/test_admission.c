/* test_admission.c - the refusal table of docs/protocol.md, row by row and carrier by carrier, with real tokens. */
#include <stdio.h>

#include "server/dialect/carillon.h"
#include "server/net/ws/ws.h"
#include "tests/unit/net/admission_fixture.h"

/* How each carrier brings a token. */
static const struct {
    const char *target;
    const char *lines;
} carriers[] = {
    {"/ws", "Authorization: Bearer %s\r\n"},
    {"/ws", "Authorization: bearer   %s\r\n"},
    {"/ws", "Sec-WebSocket-Protocol: carillon.v1, %s\r\n"},
    {"/ws", "Sec-WebSocket-Protocol: %s\r\nSec-WebSocket-Protocol: carillon.v1\r\n"},
    {"/ws?x=1&token=%s", ""},
};

static const struct admission *decide_by(struct fixture *fixture, size_t carrier, const char *token, bool origin)
{
    char target[200], lines[400];
    /* Formats of the table above: with one %s in one of the two, or none. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
    snprintf(target, sizeof target, carriers[carrier].target, token);
    int len = snprintf(lines, sizeof lines, carriers[carrier].lines, token);
#pragma GCC diagnostic pop
    if (origin)
        snprintf(lines + len, sizeof lines - (size_t)len, "Origin: https://any.example\r\n");
    return decide(fixture, target, lines);
}

static void each_carrier_meets_each_verdict(void **state)
{
    static const struct {
        const char *token;
        enum reason reason;
    } verdicts[] = {
        {"goo.goo.goo", REASON_NONE},          {"bad.bad.bad", REASON_TOKEN_INVALID},
        {"old.old.old", REASON_TOKEN_EXPIRED}, {"new.new.new", REASON_TOKEN_NOT_YET_VALID},
        {"rev.rev.rev", REASON_TOKEN_REVOKED},
    };
    for (size_t c = 0; c < COUNT_OF(carriers); c++) {
        for (size_t v = 0; v < 2 * COUNT_OF(verdicts); v++) {
            bool origin = v >= COUNT_OF(verdicts); /* auto: told by a close frame */
            enum reason reason = verdicts[v % COUNT_OF(verdicts)].reason;
            const struct admission *found = decide_by(*state, c, verdicts[v % COUNT_OF(verdicts)].token, origin);
            assert_int_equal(found->reason, reason);
            if (reason == REASON_NONE) {
                assert_int_equal(found->outcome, ADMITTED);
                assert_str(found->claims->sub, "u");
            } else {
                assert_int_equal(found->outcome, origin ? REFUSED_CLOSE : REFUSED_HTTP);
                assert_int_equal(found->status, 401);
                assert_int_equal(found->close_code, 1008);
                assert_int_equal(reason_err(found->reason), ERR_UNAUTHORIZED);
                assert_null(found->claims);
            }
            done(*state);
        }
    }
}

static void a_missing_token_is_refused(void **state)
{
    static const char *const lines[] = {
        "",
        "Authorization: Basic Zm9vOmJhcg==\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer\r\n",
        "Sec-WebSocket-Protocol: carillon.v1\r\n",
        "Sec-WebSocket-Protocol: goo.goo.goo\r\n", /* without carillon.v1 it is somebody's protocol */
        "Sec-WebSocket-Protocol: carillon.v1, carillon.v2\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        const struct admission *found = decide(*state, "/ws?token=", lines[i]);
        if (found->reason != REASON_TOKEN_MISSING || found->status != 401 || found->outcome != REFUSED_HTTP)
            fail_msg("with \"%s\": reason %s", lines[i], reason_text(found->reason));
    }
}

static void two_different_tokens_are_refused(void **state)
{
    static const struct {
        const char *target;
        const char *lines;
    } rows[] = {
        {"/ws?token=old.old.old", "Authorization: Bearer goo.goo.goo\r\n"},
        {"/ws?token=old.old.old", "Sec-WebSocket-Protocol: carillon.v1, goo.goo.goo\r\nOrigin: https://x\r\n"},
        {"/ws", "Sec-WebSocket-Protocol: carillon.v1, goo.goo.goo, old.old.old\r\n"},
        {"/ws?token=goo.goo.goo&token=goo.goo.goo", ""},
        {"/http?token=goo.goo.goo&access_token=old.old.old", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct admission *found = decide(*state, rows[i].target, rows[i].lines);
        assert_int_equal(found->outcome, REFUSED_HTTP);
        assert_int_equal(found->status, 400);
        assert_int_equal(((struct fixture *)*state)->error.code, ERR_INVALID_REQUEST);
        assert_int_equal(found->reason, REASON_NONE);
        assert_int_equal(verified(*state), 0);
    }
    const struct admission *same = decide(*state, "/ws?token=%g", "Authorization: Bearer goo.goo.goo\r\n");
    assert_int_equal(same->outcome, ADMITTED);
    done(*state);
    assert_int_equal(decide(*state, "/http?access_token=goo.goo.goo", "")->outcome, ADMITTED);
    done(*state);
}

static void a_carrier_that_is_off_is_not_looked_at(void **state)
{
    const struct admission *found =
        decide(*state, "/strict?token=sco.sco.sco", "Sec-WebSocket-Protocol: carillon.v1, sco.sco.sco\r\n");
    assert_int_equal(found->reason, REASON_TOKEN_MISSING);
    assert_int_equal(found->close_code, 1002); /* mapped by the endpoint */
}

static void origins_and_scopes_are_forbidden_not_unauthorized(void **state)
{
    static const struct {
        const char *lines;
        enum reason reason;
    } rows[] = {
        {"Authorization: Bearer sco.sco.sco\r\nOrigin: https://app.example\r\n", REASON_NONE},
        {"Authorization: Bearer sco.sco.sco\r\nOrigin: https://eu.app.example\r\n", REASON_NONE},
        {"Authorization: Bearer sco.sco.sco\r\n", REASON_NONE}, /* no browser */
        {"Authorization: Bearer sco.sco.sco\r\nOrigin: http://app.example\r\n", REASON_ORIGIN_DENIED},
        {"Authorization: Bearer sco.sco.sco\r\nOrigin: https://app.example.evil\r\n", REASON_ORIGIN_DENIED},
        {"Authorization: Bearer sco.sco.sco\r\nOrigin: null\r\n", REASON_ORIGIN_DENIED},
        {"Authorization: Bearer goo.goo.goo\r\nOrigin: https://app.example\r\n", REASON_SCOPE_MISSING},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct admission *found = decide(*state, "/strict", rows[i].lines);
        assert_int_equal(found->reason, rows[i].reason);
        if (rows[i].reason != REASON_NONE) {
            assert_int_equal(found->outcome, REFUSED_CLOSE);
            assert_int_equal(found->status, 403);
            assert_int_equal(found->close_code, 1008);
            assert_null(found->claims);
        }
        done(*state);
    }
}

static void limits_and_draining_say_when_to_come_back(void **state)
{
    static const struct {
        enum reason reason;
        int status;
        int close_code;
    } rows[] = {
        {REASON_CONNECTION_LIMIT, 429, 1013},
        {REASON_RATE_LIMITED, 429, 1013},
        {REASON_DRAINING, 503, 1012},
        {REASON_NOT_READY, 503, 1012},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        decide(fixture, "/ws?token=goo.goo.goo", "");
        uint64_t before = verified(fixture);
        const struct admission *found = decide_head(fixture, rows[i].reason);
        assert_int_equal(found->outcome, REFUSED_HTTP);
        assert_int_equal(found->status, rows[i].status);
        assert_int_equal(found->close_code, rows[i].close_code);
        assert_int_equal(found->retry_after_s, 7);
        assert_int_equal(verified(fixture), before); /* no work is done for it */
    }
    decide(fixture, "/ws?token=goo.goo.goo", "");
    admission_refuse(&fixture->admitter, &fixture->admission, REASON_CONNECTION_LIMIT); /* found out afterwards */
    assert_int_equal(fixture->admission.status, 429);
    assert_null(fixture->admission.claims);
}

/* No refusal counts under anything. */
static void each_limit_refuses_and_counts_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct net_settings *settings = fixture->settings;
    size_t *const limits[] = {&settings->max_connections, &settings->max_per_address, &settings->max_per_user,
                              &settings->endpoints[0]->max_connections};
    settings->max_connections = 10;
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        size_t usual = *limits[i];
        assert_int_equal(decide(fixture, "/ws?token=goo.goo.goo", "")->outcome, ADMITTED);
        struct lease first = fixture->lease;
        fixture->lease = (struct lease){0};
        *limits[i] = 1;
        assert_int_equal(decide(fixture, "/ws?token=goo.goo.goo", "")->reason, REASON_CONNECTION_LIMIT);
        assert_int_equal(fixture->lease.count, 0);
        assert_int_equal(quota_count(fixture->admitter.quota, QUOTA_SESSIONS, STR("")), 1);
        lease_release(&first, fixture->admitter.quota);
        assert_int_equal(decide(fixture, "/ws?token=goo.goo.goo", "")->outcome, ADMITTED);
        done(fixture);
        *limits[i] = usual;
    }
}

static void the_endpoint_chooses_how_to_refuse(void **state)
{
    assert_int_equal(decide(*state, "/http", "Origin: https://x\r\n")->outcome, REFUSED_HTTP);
    assert_int_equal(decide(*state, "/close", "")->outcome, REFUSED_CLOSE);
    assert_int_equal(decide(*state, "/ws", "")->outcome, REFUSED_HTTP);
    assert_int_equal(decide(*state, "/ws", "Origin: https://x\r\n")->outcome, REFUSED_CLOSE);
}

static void what_is_no_handshake_is_answered_in_http(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *head;
        int status;
    } rows[] = {
        {"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n", 404},
        {"GET /ws/ HTTP/1.1\r\nHost: h\r\n\r\n", 404},
        {"GET /%77s HTTP/1.1\r\nHost: h\r\n\r\n", 404},
        {"GET /ws HTTP/1.1\r\nHost: h\r\n\r\n", 426},
        {"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 426},
        {"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n\r\n",
         426},
        {"POST /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 400},
        {"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: short\r\n\r\n",
         400},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(fixture->bytes, sizeof fixture->bytes, "%s", rows[i].head);
        const struct admission *found = decide_head(fixture, REASON_NONE);
        assert_int_equal(found->outcome, REFUSED_HTTP);
        assert_int_equal(found->status, rows[i].status);
        assert_true(fixture->error.text[0] != '\0');
        assert_int_equal(verified(fixture), 0);
    }
}

/* A removed endpoint admits nobody. It is there while it has sessions, through all reloads, until its path comes back.
 */
static void a_removed_endpoint_is_kept_for_its_sessions(void **state)
{
    struct fixture *fixture = *state;
    struct quota *quota = fixture->admitter.quota;
    const struct net_endpoint *strict = net_settings_find_endpoint(fixture->settings, STR("/strict"));
    struct net_settings *fewer[3] = {net_settings_create(), net_settings_create(), net_settings_create()};
    for (int i = 0; i < 2; i++) {
        struct lease session = {
            0}; /* none at the first reload: a client may come until the workers have the settings */
        if (i == 1)
            lease_take(&session, quota, QUOTA_OF_ENDPOINT, STR("/strict"), 0);
        net_settings_add_endpoint(fewer[i], STR("/ws"), &ws_transport, &carillon_dialect);
        assert_null(net_settings_successor(fewer[i], strict));
        struct net_endpoint *kept = net_settings_keep_endpoint(fewer[i], strict, quota);
        assert_null(net_settings_keep_endpoint(fewer[i], strict, quota));
        assert_null(net_settings_find_endpoint(fewer[i], STR("/strict")));
        assert_ptr_equal(net_settings_successor(fewer[i], strict), kept);
        assert_int_equal(kept->base.close_codes.code[REASON_TOKEN_MISSING], 1002);
        assert_int_equal(kept->scopes.count, 1);
        assert_str(kept->scopes.items[0], "connect");
        lease_release(&session, quota);
        strict = kept;
    }
    assert_null(net_settings_keep_endpoint(fewer[2], strict, quota)); /* its last session has gone */
    assert_int_equal(fewer[2]->endpoint_count, 0);
    assert_ptr_equal(net_settings_successor(fixture->settings, strict),
                     net_settings_find_endpoint(fixture->settings, STR("/strict")));
    for (size_t i = 0; i < COUNT_OF(fewer); i++)
        net_settings_unref(fewer[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_carrier_meets_each_verdict),
        TEST(a_missing_token_is_refused),
        TEST(two_different_tokens_are_refused),
        TEST(a_carrier_that_is_off_is_not_looked_at),
        TEST(origins_and_scopes_are_forbidden_not_unauthorized),
        TEST(limits_and_draining_say_when_to_come_back),
        TEST(each_limit_refuses_and_counts_nothing),
        TEST(the_endpoint_chooses_how_to_refuse),
        TEST(what_is_no_handshake_is_answered_in_http),
        TEST(a_removed_endpoint_is_kept_for_its_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
