/* test_admission_endpoint.c - what an endpoint says of its requests: names in the path, subprotocols, tickets, required
 * claims, and the session origin. */
#include "server/dialect/carillon.h"
#include "server/net/admission/credential.h"
#include "server/net/admission/subprotocol.h"
#include "server/net/ws/ws.h"
#include "tests/unit/net/admission_fixture.h"

static struct net_endpoint *add(struct fixture *fixture, const char *path)
{
    return net_settings_add_endpoint(fixture->settings, str_from_cstr(path), &ws_transport, &carillon_dialect);
}

/* --- paths ------------------------------------------------------------------------------------------------------- */

static void literal_paths_come_before_patterns(void **state)
{
    struct fixture *fixture = *state;
    static const char *const patterns[] = {"/{any}", "/chat/{id}", "/chat/{id}/{part}", "/chat/main", "/w/{a}/t/{b}"};
    static const struct {
        const char *path;
        int found; /* in patterns; -1: none */
    } rows[] = {
        {"/x", 0},           {"/chat/main", 3}, {"/chat/mai%6e", 1}, {"/chat/42", 1},     {"/chat/42/x", 2},
        {"/chat/4%2F2", -1}, {"/chat/", -1},    {"/", -1},           {"/w/1/t/2", 4},     {"/{any}", 0},
        {"/chat/{id}", 1},   {"/w/1/u/2", -1},  {"/chat/1/2/3", -1}, {"/chat/a%20b", -1},
    };
    const struct net_endpoint *endpoints[COUNT_OF(patterns)];
    for (size_t i = 0; i < COUNT_OF(patterns); i++)
        endpoints[i] = add(fixture, patterns[i]);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct net_endpoint *found = net_settings_find_endpoint(fixture->settings, str_from_cstr(rows[i].path));
        if (found != (rows[i].found < 0 ? NULL : endpoints[rows[i].found]))
            fail_msg("%s finds %.*s", rows[i].path, STR_ARG(found ? found->base.path : STR("nothing")));
    }
    assert_ptr_equal(net_settings_same_endpoint(fixture->settings, endpoints[1]), endpoints[1]);
    assert_int_equal(decide(fixture, "/chat/42/?token=goo.goo.goo", "")->status, 404);
}

/* A client that asks for the text of a pattern gets no closed endpoint of that text. */
static void a_pattern_that_a_reload_removes(void **state)
{
    struct fixture *fixture = *state;
    struct net_endpoint *before = add(fixture, "/chat/{id}");
    texts_add(&before->claims, STR("team"));
    struct net_settings *now = net_settings_create();
    net_settings_add_endpoint(now, STR("/{any}/{id}"), &ws_transport, &carillon_dialect);
    struct net_endpoint *kept = net_settings_keep_endpoint(now, before, fixture->admitter.quota);
    assert_true(kept->has_names);
    assert_true(texts_has(&kept->claims, STR("team")));
    assert_ptr_equal(net_settings_successor(now, before), kept);
    assert_null(net_settings_same_endpoint(now, before));
    assert_ptr_equal(net_settings_find_endpoint(now, STR("/chat/42")), now->endpoints[0]);
    assert_ptr_equal(net_settings_find_endpoint(now, STR("/chat/{id}")), now->endpoints[0]);
    net_settings_unref(now);
}

/* --- subprotocols ------------------------------------------------------------------------------------------------ */

static void offer(struct fixture *fixture, const char *list)
{
    char lines[2048];
    snprintf(lines, sizeof lines, "Sec-WebSocket-Protocol: %s\r\n", list);
    decide(fixture, "/", lines);
}

static void a_known_subprotocol_is_selected_and_the_rest_is_the_token(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *offered, *selected, *of_refusal;
        enum reason reason;
    } rows[] = {
        {"app-v1, goo.goo.goo", "app-v1", "app-v1", REASON_NONE},
        {"goo.goo.goo, app-v1", "app-v1", "app-v1", REASON_NONE},
        {"app-v2, app-v1, goo.goo.goo", "app-v2", "app-v2", REASON_NONE},
        {"APP-V1, goo.goo.goo", "APP-V1", "APP-V1", REASON_NONE},
        {"app-v1, old.old.old", "app-v1", "app-v1", REASON_TOKEN_EXPIRED},
        {"app-v1", "app-v1", "app-v1", REASON_TOKEN_MISSING},
        {"app-v1, chat", "app-v1", "app-v1", REASON_TOKEN_INVALID},
        {"carillon.v1, goo.goo.goo", "", "carillon.v1", REASON_TOKEN_MISSING},
        {"app-v1, carillon.v1, goo.goo.goo", "app-v1", "app-v1", REASON_NONE},
        {"goo.goo.goo", "", "", REASON_TOKEN_MISSING},
    };
    struct net_endpoint *endpoint = add(fixture, "/");
    texts_clear(&endpoint->subprotocols);
    texts_add(&endpoint->subprotocols, STR("app-v1"));
    texts_add(&endpoint->subprotocols, STR("app-v2"));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        offer(fixture, rows[i].offered);
        if (fixture->admission.reason != rows[i].reason)
            fail_msg("%s: %s", rows[i].offered, reason_text(fixture->admission.reason));
        assert_str(subprotocol_select(endpoint, &fixture->head), rows[i].selected);
        assert_str(subprotocol_of_refusal(endpoint, &fixture->head), rows[i].of_refusal);
    }
    offer(fixture, "app-v1, goo.goo.goo, sco.sco.sco");
    assert_int_equal(fixture->admission.status, 400);
    texts_clear(&endpoint->subprotocols); /* none can be selected, so none is offered beside a token */
    offer(fixture, "app-v1, goo.goo.goo");
    assert_int_equal(fixture->admission.reason, REASON_TOKEN_MISSING);
}

static void the_subprotocols_of_the_usual_endpoint(void **state)
{
    static const struct {
        const char *lines, *selected, *of_refusal;
    } rows[] = {
        {"", "", ""},
        {"Sec-WebSocket-Protocol: carillon.v1\r\n", "carillon.v1", "carillon.v1"},
        {"Sec-WebSocket-Protocol: mqtt, carillon.v1, a.b.c\r\n", "carillon.v1", "carillon.v1"},
        {"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: chat\r\n", "", "mqtt"},
        {"Sec-WebSocket-Protocol: eyJ.eyJ.x, chat\r\n", "", "chat"},
        {"Sec-WebSocket-Protocol: eyJ.eyJ.x\r\n", "", ""},
        {"Sec-WebSocket-Protocol: eyJ.x, a.b.c\r\n", "", "eyJ.x"},
        {"Sec-WebSocket-Protocol: a/b, c d, x\r\n", "", "x"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        decide(fixture, "/ws", rows[i].lines);
        assert_str(subprotocol_select(fixture->settings->endpoints[0], &fixture->head), rows[i].selected);
        assert_str(subprotocol_of_refusal(fixture->settings->endpoints[0], &fixture->head), rows[i].of_refusal);
    }
}

/* --- tickets ----------------------------------------------------------------------------------------------------- */

static void a_ticket_is_found_where_the_endpoint_takes_one(void **state)
{
    struct fixture *fixture = *state;
    struct net_endpoint *endpoint = add(fixture, "/t");
    texts_add(&endpoint->ticket_names, STR("ticket"));
    texts_add(&endpoint->ticket_names, STR("pass"));
    static const struct {
        const char *target, *lines, *ticket; /* NULL: none */
        enum reason reason;
        int status;
    } rows[] = {
        {"/t?ticket=abc%2Bd", "", "abc+d", REASON_NONE, 0},
        {"/t?pass=abc&ticket=abc", "", "abc", REASON_NONE, 0},
        {"/t?pass=abc&ticket=abd", "", NULL, REASON_NONE, 400},
        {"/t?ticket=abc&ticket=abc", "", NULL, REASON_NONE, 400},
        {"/t?ticket=abc&token=goo.goo.goo", "", NULL, REASON_NONE, 400},
        {"/t?ticket=abc", "Authorization: Bearer goo.goo.goo\r\n", NULL, REASON_NONE, 400},
        {"/t?ticket=", "", NULL, REASON_TOKEN_MISSING, 401},
        {"/t?ticket=&token=goo.goo.goo", "", NULL, REASON_NONE, 0},
        {"/ws?ticket=abc", "", NULL, REASON_TOKEN_MISSING, 401},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct admission *found = decide(fixture, rows[i].target, rows[i].lines);
        if (found->reason != rows[i].reason || found->status != rows[i].status || !found->ticket.ptr != !rows[i].ticket)
            fail_msg("%s: %d %s", rows[i].target, found->status, reason_text(found->reason));
        if (rows[i].ticket) {
            assert_str(found->ticket, rows[i].ticket);
            assert_null(found->claims);
        }
        done(fixture);
    }
}

/* --- claims ------------------------------------------------------------------------------------------------------ */

static void required_claims_are_named(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *claim, *token;
        bool there;
    } rows[] = {
        {"sub", "goo.goo.goo", true},        {"exp", "goo.goo.goo", true},   {"iat", "goo.goo.goo", false},
        {"iat", "all.all.all", true},        {"scope", "all.all.all", true}, {"user_type", "all.all.all", true},
        {"user_type", "goo.goo.goo", false}, {"none", "all.all.all", false},
    };
    struct net_endpoint *endpoint = add(fixture, "/c");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char target[64], part[64];
        texts_clear(&endpoint->claims);
        texts_add(&endpoint->claims, str_from_cstr(rows[i].claim));
        snprintf(target, sizeof target, "/c?token=%s", rows[i].token);
        const struct admission *found = decide(fixture, target, "");
        assert_int_equal(found->reason, rows[i].there ? REASON_NONE : REASON_TOKEN_INVALID);
        assert_int_equal(fixture->error.code, rows[i].there ? ERR_NONE : ERR_UNAUTHORIZED);
        snprintf(part, sizeof part, "no claim \"%s\"", rows[i].claim);
        if (!rows[i].there && !strstr(fixture->error.text, part))
            fail_msg("%s", fixture->error.text);
        done(fixture);
    }
}

/* --- the origin --------------------------------------------------------------------------------------------------- */

static void an_origin_has_what_the_endpoint_asks_for(void **state)
{
    struct fixture *fixture = *state;
    struct net_endpoint *endpoint = add(fixture, "/w/{one}/t/{two}");
    texts_add(&endpoint->ticket_names, STR("ticket"));
    const char *const query[] = {"trace", "token", "ticket", "missing", "empty"};
    const char *const headers[] = {"X-Device", "accept-language", "x-none"};
    for (size_t i = 0; i < COUNT_OF(query); i++)
        texts_add(&endpoint->query, str_from_cstr(query[i]));
    for (size_t i = 0; i < COUNT_OF(headers); i++)
        texts_add(&endpoint->headers, str_from_cstr(headers[i]));
    texts_add(&endpoint->subprotocols, STR("app"));
    const struct admission *found = decide(
        fixture, "/w/a%3Ab/t/%C3%A4?trace=1%0D%0Ax&token=goo.goo.goo&other=2&empty",
        "x-device: phone\r\nX-Device: 2\r\nAccept-Language: de\r\nSec-WebSocket-Protocol: app, carillon.v1, app\r\n");
    const struct session_origin *origin = found->origin;
    struct str value;
    assert_non_null(origin);
    assert_str(origin->endpoint, "/w/{one}/t/{two}");
    assert_str(origin->path, "/w/a%3Ab/t/%C3%A4");
    assert_str(origin->address, "::1");
    assert_str(origin->subprotocol, "app");
    assert_int_equal(origin->offered_count, 2);
    assert_str(origin->offered[1], "carillon.v1");
    assert_int_equal(origin->names.count, 2);
    assert_true(origin_values_find(&origin->names, STR("one"), &value));
    assert_str(value, "a:b");
    assert_true(origin_values_find(&origin->names, STR("two"), &value));
    assert_str(value, "\xc3\xa4");
    assert_int_equal(origin->query.count, 2);
    assert_true(origin_values_find(&origin->query, STR("trace"), &value));
    assert_str(value, "1\r\nx");
    assert_true(origin_values_find(&origin->query, STR("empty"), &value));
    assert_str(value, "");
    assert_int_equal(origin->headers.count, 2);
    assert_true(origin_values_find(&origin->headers, STR("X-Device"), &value));
    assert_str(value, "phone, 2");
    done(fixture);
    assert_int_equal(decide(fixture, "/w/a/t/b?token=goo.goo.goo&trace=1&trace=2", "")->status, 400);
    assert_null(fixture->admission.claims);
    assert_null(fixture->admission.origin);
    assert_int_equal(decide(fixture, "/w/a/t/b?token=goo.goo.goo&trace=%", "")->status, 400);
    assert_int_equal(decide(fixture, "/ws?token=goo.goo.goo", "")->outcome, ADMITTED);
    assert_null(fixture->admission.origin); /* nothing there needs it */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(literal_paths_come_before_patterns),
        TEST(a_pattern_that_a_reload_removes),
        TEST(a_known_subprotocol_is_selected_and_the_rest_is_the_token),
        TEST(the_subprotocols_of_the_usual_endpoint),
        TEST(a_ticket_is_found_where_the_endpoint_takes_one),
        TEST(required_claims_are_named),
        TEST(an_origin_has_what_the_endpoint_asks_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
