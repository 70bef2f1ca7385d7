/* test_admission.c - the refusal table of docs/protocol.md, row by row and carrier by carrier, with real tokens. The
 * tests write a token as its name, for instance goo.goo.goo. */
#include <stdio.h>

#include "common/token/issue.h"
#include "server/net/admission/entry.h"
#include "server/net/ws/ws.h"
#include "tests/support/unit.h"

static const uint64_t now_ms = 1768473000000;

/* bad.bad.bad is what it looks like. */
static const struct {
    const char *name;
    const char *payload;
} kinds[] = {
    {"goo.goo.goo", "{\"sub\":\"u\",\"exp\":1768476600}"},
    {"old.old.old", "{\"sub\":\"u\",\"exp\":1768400000}"},
    {"new.new.new", "{\"sub\":\"u\",\"exp\":1768476600,\"nbf\":1768475000}"},
    {"rev.rev.rev", "{\"sub\":\"u\",\"exp\":1768476600,\"jti\":\"revoked\"}"},
    {"sco.sco.sco", "{\"sub\":\"u\",\"exp\":1768476600,\"scope\":\"connect read\"}"},
};

struct fixture {
    struct net_settings *settings;
    struct buf tokens[COUNT_OF(kinds)];
    struct turn turn; /* its time only */
    struct metrics metrics;
    struct admitter admitter;
    char bytes[4096];
    struct http_head head;
    struct lease lease;
    struct admission admission;
    struct error error;
};

static void make_endpoints(struct net_settings *settings)
{
    net_settings_add_endpoint(settings, STR("/ws"), &ws_transport);
    struct net_endpoint *strict = net_settings_add_endpoint(settings, STR("/strict"), &ws_transport);
    texts_add(&strict->origins, STR("https://app.example"));
    texts_add(&strict->origins, STR("https://*.app.example"));
    texts_add(&strict->scopes, STR("connect"));
    strict->carriers = CARRIER_HEADER;
    strict->base.close_codes.code[REASON_TOKEN_MISSING] = 1002;
    struct net_endpoint *plain = net_settings_add_endpoint(settings, STR("/http"), &ws_transport);
    plain->reject = REJECT_HTTP;
    texts_add(&plain->query_names, STR("access_token"));
    net_settings_add_endpoint(settings, STR("/close"), &ws_transport)->reject = REJECT_CLOSE;
}

static struct token_keys *make_keys(struct buf tokens[COUNT_OF(kinds)])
{
    struct token_keys *keys = token_keys_create();
    assert_int_equal(token_keys_add_secret(keys, "test", STR(""), 0, STR("0123456789abcdef0123456789abcdef"), NULL),
                     ERR_NONE);
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        assert_int_equal(token_issue(keys, 0, STR(""), str_from_cstr(kinds[i].payload), &tokens[i], NULL), ERR_NONE);
    return keys;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.settings = net_settings_create(), .turn = {.begun = true, .wall_ms = now_ms}};
    fixture.settings->retry_after_s = 7;
    make_endpoints(fixture.settings);
    metrics_init(&fixture.metrics, 0);
    struct token_keys *keys = make_keys(fixture.tokens);
    admitter_init(&fixture.admitter, fixture.settings, keys);
    token_keys_unref(keys);
    fixture.admitter.quota = quota_create();
    fixture.admitter.revocations = revocations_create();
    fixture.admitter.metrics = &fixture.metrics;
    fixture.admitter.turn = &fixture.turn;
    const struct revocation revocation = {
        .kind = REVOCATION_JTI, .value = STR("revoked"), .until_ms = now_ms + 3600000};
    revocations_add(fixture.admitter.revocations, &revocation, now_ms);
    *state = &fixture;
    return 0;
}

/* The admitted client goes. Its places in the limits are given back. */
static void done(struct fixture *fixture)
{
    claims_unref(fixture->admission.claims);
    fixture->admission.claims = NULL;
    lease_release(&fixture->lease, fixture->admitter.quota);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    done(fixture);
    revocations_destroy(fixture->admitter.revocations);
    quota_destroy(fixture->admitter.quota); /* fails when something still counts */
    admitter_fini(&fixture->admitter);
    net_settings_unref(fixture->settings);
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        buf_fini(&fixture->tokens[i]);
    return 0;
}

/* Of tokens, whatever came out. */
static uint64_t verified(const struct fixture *fixture)
{
    const struct metrics *all[] = {&fixture->metrics};
    uint64_t sum = 0;
    for (unsigned label = 0; label < METRICS_VERIFICATION_COUNT; label++)
        sum += metrics_value(all, 1, METRIC_TOKEN_VERIFICATIONS, label);
    return sum;
}

static const char handshake[] = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/* The entry steps that count on this node. */
static void take_places(struct fixture *fixture)
{
    const struct entry_step steps[] = {limits_step, user_limit_step};
    const struct entry_start start = {
        .admitter = &fixture->admitter, .lease = &fixture->lease, .steps = steps, .step_count = COUNT_OF(steps)};
    enum reason reason;
    struct entry entry;
    entry_init(&entry, &start, &fixture->admission);
    claims_ref(fixture->admission.claims);
    if (entry_run(&entry, &fixture->head, &reason) == ENTRY_IS_REFUSED) {
        lease_release(&fixture->lease, fixture->admitter.quota);
        admission_refuse(&fixture->admitter, &fixture->admission, reason);
    }
    entry_fini(&entry);
}

static const struct admission *decide_head(struct fixture *fixture, enum reason unavailable)
{
    static const struct address peer = {{[15] = 1}};
    size_t scanned = 0;
    struct error error;
    enum http_head_result result =
        http_head_parse(str_from_cstr(fixture->bytes), sizeof fixture->bytes, &scanned, &fixture->head, &error);
    if (result != HTTP_HEAD_DONE)
        fail_msg("the test's own head is bad: %s", error.text);
    done(fixture);
    fixture->admitter.unavailable = unavailable;
    admission_decide(&fixture->admitter, &fixture->head, &peer, &fixture->admission, &fixture->error);
    if (fixture->admission.outcome == ADMITTED)
        take_places(fixture);
    return &fixture->admission;
}

/* Writes text with the tokens in the places of their names. %g stands for goo.goo.goo with a dot written as %2e. */
static void write_with_tokens(struct fixture *fixture, struct buf *out, struct str text)
{
    while (text.len > 0) {
        size_t used = 1;
        for (size_t i = 0; i < COUNT_OF(kinds) && used == 1; i++)
            if (str_starts_with(text, str_from_cstr(kinds[i].name))) {
                buf_append(out, buf_str(&fixture->tokens[i]));
                used = strlen(kinds[i].name);
            }
        if (used == 1 && str_starts_with(text, STR("%g"))) {
            struct str rest = buf_str(&fixture->tokens[0]);
            struct str first = str_split(&rest, '.');
            buf_appendf(out, "%.*s%%2e%.*s", STR_ARG(first), STR_ARG(rest));
            used = 2;
        }
        if (used == 1)
            buf_append_char(out, text.ptr[0]);
        text = str_from(text.ptr + used, text.len - used);
    }
}

/* A good handshake for target, with more header lines. */
static const struct admission *decide(struct fixture *fixture, const char *target, const char *lines)
{
    struct buf named = {0}, text = {0};
    buf_appendf(&named, "GET %s HTTP/1.1\r\nHost: h\r\n%s%s\r\n", target, handshake, lines);
    write_with_tokens(fixture, &text, buf_str(&named));
    assert_true(text.len < sizeof fixture->bytes);
    snprintf(fixture->bytes, sizeof fixture->bytes, "%s", buf_cstr(&text));
    buf_fini(&named);
    buf_fini(&text);
    return decide_head(fixture, REASON_NONE);
}

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
        net_settings_add_endpoint(fewer[i], STR("/ws"), &ws_transport);
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

static void the_protocol_is_selected_only_when_offered(void **state)
{
    assert_true(decide(*state, "/ws", "Sec-WebSocket-Protocol: carillon.v1, goo.goo.goo\r\n")->protocol_offered);
    done(*state);
    assert_false(decide(*state, "/ws?token=goo.goo.goo", "")->protocol_offered);
    done(*state);
    assert_false(decide(*state, "/ws?token=goo.goo.goo", "Sec-WebSocket-Protocol: mqtt\r\n")->protocol_offered);
    done(*state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void test_the_protocol_of_a_refusal(void **state)
{
    static const struct {
        const char *lines, *selected;
    } rows[] = {
        {"", ""},
        {"Sec-WebSocket-Protocol: carillon.v1\r\n", "carillon.v1"},
        {"Sec-WebSocket-Protocol: mqtt, carillon.v1, a.b.c\r\n", "carillon.v1"},
        {"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: chat\r\n", "mqtt"},
        {"Sec-WebSocket-Protocol: eyJ.eyJ.x, chat\r\n", "chat"},
        {"Sec-WebSocket-Protocol: eyJ.eyJ.x\r\n", ""},
        {"Sec-WebSocket-Protocol: eyJ.x, a.b.c\r\n", "eyJ.x"},
        {"Sec-WebSocket-Protocol: a/b, c d, x\r\n", "x"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf text = {0};
        struct http_head head;
        size_t scanned = 0;
        buf_appendf(&text, "GET /ws HTTP/1.1\r\nHost: h\r\n%s\r\n", rows[i].lines);
        assert_int_equal(http_head_parse(buf_str(&text), 4096, &scanned, &head, NULL), HTTP_HEAD_DONE);
        assert_str(admission_refusal_protocol(&head), rows[i].selected);
        buf_fini(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_protocol_of_a_refusal),
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
        TEST(the_protocol_is_selected_only_when_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
