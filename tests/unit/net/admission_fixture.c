/* admission_fixture.c - see admission_fixture.h. */
#include "tests/unit/net/admission_fixture.h"

#include <stdio.h>

#include "common/token/issue.h"
#include "server/dialect/carillon.h"
#include "server/net/ws/ws.h"

static const uint64_t now_ms = 1768473000000;

/* bad.bad.bad is what it looks like. */
static const struct {
    const char *name;
    const char *payload;
} kinds[TOKEN_KINDS] = {
    {"goo.goo.goo", "{\"sub\":\"u\",\"exp\":1768476600}"},
    {"old.old.old", "{\"sub\":\"u\",\"exp\":1768400000}"},
    {"new.new.new", "{\"sub\":\"u\",\"exp\":1768476600,\"nbf\":1768475000}"},
    {"rev.rev.rev", "{\"sub\":\"u\",\"exp\":1768476600,\"jti\":\"revoked\"}"},
    {"sco.sco.sco", "{\"sub\":\"u\",\"exp\":1768476600,\"scope\":\"connect read\"}"},
    {"all.all.all",
     "{\"sub\":\"u\",\"iat\":1768472000,\"exp\":1768476600,\"scope\":\"\",\"user_type\":\"a*b\",\"none\":null}"},
};

static void make_endpoints(struct net_settings *settings)
{
    net_settings_add_endpoint(settings, STR("/ws"), &ws_transport, &carillon_dialect);
    struct net_endpoint *strict = net_settings_add_endpoint(settings, STR("/strict"), &ws_transport, &carillon_dialect);
    texts_add(&strict->origins, STR("https://app.example"));
    texts_add(&strict->origins, STR("https://*.app.example"));
    texts_add(&strict->scopes, STR("connect"));
    strict->carriers = CARRIER_HEADER;
    strict->base.close_codes.code[REASON_TOKEN_MISSING] = 1002;
    struct net_endpoint *plain = net_settings_add_endpoint(settings, STR("/http"), &ws_transport, &carillon_dialect);
    plain->reject = REJECT_HTTP;
    texts_add(&plain->query_names, STR("access_token"));
    net_settings_add_endpoint(settings, STR("/close"), &ws_transport, &carillon_dialect)->reject = REJECT_CLOSE;
}

static struct token_keys *make_keys(struct buf tokens[TOKEN_KINDS])
{
    struct token_keys *keys = token_keys_create();
    assert_int_equal(token_keys_add_secret(keys, "test", STR(""), 0, STR("0123456789abcdef0123456789abcdef"), NULL),
                     ERR_NONE);
    for (size_t i = 0; i < TOKEN_KINDS; i++)
        assert_int_equal(token_issue(keys, 0, STR(""), str_from_cstr(kinds[i].payload), &tokens[i], NULL), ERR_NONE);
    return keys;
}

int set_up(void **state)
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

void done(struct fixture *fixture)
{
    admission_drop(&fixture->admission);
    lease_release(&fixture->lease, fixture->admitter.quota);
}

int tear_down(void **state)
{
    struct fixture *fixture = *state;
    done(fixture);
    revocations_destroy(fixture->admitter.revocations);
    quota_destroy(fixture->admitter.quota); /* fails when something still counts */
    admitter_fini(&fixture->admitter);
    net_settings_unref(fixture->settings);
    for (size_t i = 0; i < TOKEN_KINDS; i++)
        buf_fini(&fixture->tokens[i]);
    return 0;
}

uint64_t verified(const struct fixture *fixture)
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
    struct admission counted = fixture->admission;
    counted.claims = claims_ref(counted.claims);
    counted.origin = NULL;
    entry_init(&entry, &start, &counted);
    if (entry_run(&entry, &fixture->head, &reason) == ENTRY_IS_REFUSED) {
        lease_release(&fixture->lease, fixture->admitter.quota);
        admission_refuse(&fixture->admitter, &fixture->admission, reason);
    }
    entry_fini(&entry);
}

const struct admission *decide_head(struct fixture *fixture, enum reason unavailable)
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
    if (fixture->admission.claims)
        take_places(fixture);
    return &fixture->admission;
}

/* Writes text with the tokens in the places of their names. %g stands for goo.goo.goo with a dot written as %2e. */
static void write_with_tokens(struct fixture *fixture, struct buf *out, struct str text)
{
    while (text.len > 0) {
        size_t used = 1;
        for (size_t i = 0; i < TOKEN_KINDS && used == 1; i++)
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

const struct admission *decide(struct fixture *fixture, const char *target, const char *lines)
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
