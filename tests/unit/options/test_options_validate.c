/* test_options_validate.c - what no single option shows: each contradiction is refused at its line, and notes are for
 * what is allowed. */
#include "tests/unit/options/loading.h"

/* A line break stands before the member that is at fault. */
struct contradiction {
    const char *text;
    const char *message;
};

static const struct contradiction general[] = {
    {"{\n\"endpoints\": []}", ":2: endpoints: at least one entry is needed"},
    {"{\"token\": {\"keys\": [\n{\"kid\": \"a\"}]}}", ":2: token.keys[0]: give either file or secret"},
    {"{\"token\": {\n\"algorithms\": []}}", ":2: token.algorithms: at least one algorithm is needed"},
    {"{\n\"proxy_protocol\": \"required\"}", ":2: proxy_protocol: needs trusted_proxies"},
    {"{\"outbox\": {\n\"max_bytes\": \"4k\"}}", ":2: outbox.max_bytes: must not be less than limits.event_bytes"},
    {"{\"limits\": {\n\"head_bytes\": \"1k\"}}", ":2: limits.head_bytes: must not be less than token.max_bytes"},
};

#define UPSTREAM "\"upstreams\": {\"ai\": {\"url\": \"http://h\"}}, "

static const struct contradiction of_endpoints[] = {
    {"{\"endpoints\": [{\"path\": \"/a\"}, {\n\"path\": \"/a\"}]}",
     ":2: endpoints[1].path: /a is also the path of [0]"},
    {"{\"endpoints\": [{\"path\": \"/a/{x}\"}, {\"path\": \"/a/b\"}, {\n\"path\": \"/{y}/b\"}]}",
     ":2: endpoints[2].path: /{y}/b and /a/{x} of [0] fit one path"},
    {"{\"tickets\": {\"path\": \"/a/t\"}, \"endpoints\": [{\n\"path\": \"/{y}/t\"}]}",
     ":2: endpoints[0].path: /{y}/t takes the path of tickets, /a/t"},
    {"{\"endpoints\": [{\"path\": \"/a\",\n\"close_codes\": {\"draining\": 1006}}]}",
     ":2: endpoints[0].close_codes: 1006 cannot be sent"},
    {"{\"endpoints\": [\n{\"path\": \"/a\", \"token_header\": false, \"token_subprotocol\": false, \"token_query\": "
     "[]}]}",
     ":2: endpoints[0]: no way is left to bring a token"},
    {"{\"endpoints\": [\n{\"path\": \"/a\", \"token_header\": false, \"subprotocols\": [], \"token_query\": []}]}",
     ":2: endpoints[0]: no way is left to bring a token"},
    {"{\"endpoints\": [{\"path\": \"/a\",\n\"ticket_query\": [\"ticket\"]}]}",
     ":2: endpoints[0].ticket_query: nobody can get a ticket"},
    {"{\"tickets\": {\"path\": \"/t\"}, \"endpoints\": [{\"path\": \"/a\",\n\"ticket_query\": [\"token\"]}]}",
     ":2: endpoints[0].ticket_query: token is also in token_query"},
    {"{\"endpoints\": [{\"path\": \"/a/{id}\", \"ticket\": {\n\"resource\": \"{id}\"}}]}",
     ":2: endpoints[0].ticket.resource: needs ticket_query"},
    {"{\"endpoints\": [{\"path\": \"/a/{id}\", \"ticket\": {\"purpose\": \"x\",\n\"resource\": \"{thread}\"}}]}",
     ":2: endpoints[0].ticket.resource: \"thread\" is no name in the path /a/{id}"},
    {"{" UPSTREAM "\"endpoints\": [{\"path\": \"/a\", \"upstream\": \"ai\",\n\"query\": [\"trace\", \"token\"]}]}",
     ":2: endpoints[0].query: token carries a token or a ticket"},
    {"{" UPSTREAM "\"endpoints\": [{\"path\": \"/a\",\n\"upstream\": \"AI\"}]}",
     ":2: endpoints[0].upstream: upstreams has no AI"},
    {"{\"endpoints\": [{\"path\": \"/a\",\n\"text\": \"upstream\"}]}", ":2: endpoints[0].text: needs upstream"},
    {"{\"endpoints\": [{\"path\": \"/a\",\n\"binary\": \"upstream\"}]}", ":2: endpoints[0].binary: needs upstream"},
    {"{\"endpoints\": [{\"path\": \"/a\",\n\"correlation\": {\"id\": \"/id\"}}]}",
     ":2: endpoints[0].correlation: needs upstream"},
};

static const struct contradiction of_the_rest[] = {
    {"{\"upstreams\": {\n\"ai\": {}}}", ":2: upstreams.ai: give either url or redis_stream"},
    {"{\"upstreams\": {\n\"ai\": {\"url\": \"http://h\", \"redis_stream\": \"s\"}}}",
     ":2: upstreams.ai: give either url or redis_stream"},
    {"{\"upstreams\": {\"log\": {\n\"redis_stream\": \"s\"}}}", ":2: upstreams.log.redis_stream: needs redis.url"},
    {"{\"redis\": {\"url\": \"redis://h\"}, \"upstreams\": {\"log\": {\n\"redis_stream\": \"carillon:ingest\"}}}",
     ":2: upstreams.log.redis_stream: carillon:ingest is a key that Carillon itself uses"},
    {"{\"upstreams\": {\"x\": {\"url\": \"ws://h\",\n\"order\": \"session\"}}}",
     ":2: upstreams.x.order: is for an http:// or https:// url only"},
    {"{\"upstreams\": {\"x\": {\"url\": \"ws://h\",\n\"connect\": {}}}}", ":2: upstreams.x.connect: is for an http://"},
    {"{\"upstreams\": {\"x\": {\"url\": \"ws://h\",\n\"subscribe\": {}}}}",
     ":2: upstreams.x.subscribe: is for an http://"},
    {"{\"upstreams\": {\"x\": {\"url\": \"ws://h\",\n\"idempotency\": {}}}}", ":2: upstreams.x.idempotency: is for"},
    {"{\"upstreams\": {\"x\": {\"url\": \"ws://h\",\n\"events\": [\"connected\"]}}}", ":2: upstreams.x.events: is for"},
    {"{\"upstreams\": {\"x\": {\"url\": \"ws://h\",\n\"dialect\": \"azure\"}}}", ":2: upstreams.x.dialect: is for an"},
    {"{\"upstreams\": {\"x\": {\"url\": \"http://h\", \"join\": {\n\"max_bytes\": \"1k\"}}}}",
     ":2: upstreams.x.join.max_bytes: needs \"order\": \"session\""},
    {"{\"upstreams\": {\"x\": {\"url\": \"http://h\", \"order\": \"session\", \"join\": {\n\"max_bytes\": \"2m\"}}}}",
     ":2: upstreams.x.join.max_bytes: must not be more than waiting_bytes"},
    {"{\"upstreams\": {\"x\": {\"url\": \"http://h\", \"total_timeout\": \"5s\",\n\"timeout\": \"6s\"}}}",
     ":2: upstreams.x.timeout: must not be more than total_timeout"},
    {"{\"upstreams\": {\"x\": {\"url\": \"http://h\",\n\"secret\": [\"0123456789abcdef\", \"0123456789abcdeF\", "
     "\"0123456789abcdEF\"]}}}",
     ":2: upstreams.x.secret: 3 secrets"},
    {"{\"tickets\": {\n\"answer\": {\"t\": 1}}}", ":2: tickets.answer: has no {ticket} in it"},
    {"{\"tickets\": {\n\"answer\": null}}", ":2: tickets.answer: is needed"},
    {"{\"tickets\": {\n\"error\": null}}", ":2: tickets.error: is needed"},
    {"{\"tickets\": {\"path\": \"/t\", \"request\": {\n\"purpose\": \"\"}}}", ":2: tickets.request.purpose: is needed"},
    {"{\"lifecycle\": {\n\"types\": [\"session.opened\"]}}", ":2: lifecycle.types: needs lifecycle.redis_stream or"},
    {"{\"lifecycle\": {\"http\": {\n\"url\": \"http://h\"}}}", ":2: lifecycle.http.url: needs lifecycle.types"},
    {"{\"lifecycle\": {\"types\": [\"session.opened\"],\n\"redis_stream\": \"s\"}}",
     ":2: lifecycle.redis_stream: needs redis.url"},
    {"{\"redis\": {\"url\": \"redis://h\"}, \"upstreams\": {\"x\": {\"redis_stream\": \"s\"}}, \"lifecycle\": "
     "{\"types\": "
     "[\"session.opened\"],\n\"redis_stream\": \"s\"}}",
     ":2: lifecycle.redis_stream: s is also the stream of the upstream x"},
};

static void refuse_each(const struct contradiction *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct loading l = load_text(cases[i].text);
        assert_loads(&l);
        assert_int_not_equal(options_validate(&l.options, &l.sources, &l.messages), ERR_NONE);
        if (!strstr(buf_cstr(&l.messages), cases[i].message))
            fail_msg("expected %s, found %s", cases[i].message, buf_cstr(&l.messages));
        load_end(&l);
    }
}

static void contradictions_are_found(void **state)
{
    (void)state;
    refuse_each(general, COUNT_OF(general));
    refuse_each(of_endpoints, COUNT_OF(of_endpoints));
    refuse_each(of_the_rest, COUNT_OF(of_the_rest));
    struct loading l = load_text("{\"token\": {\"secret\": \"0123456789abcdef0123456789abcdef\"}}");
    assert_int_equal(options_validate(&l.options, &l.sources, &l.messages), ERR_NONE);
    assert_int_equal(l.messages.len, 0);
    load_end(&l);
}

/* Single texts that their own row refuses, which the walk over the table does not know. */
static void bad_texts_are_refused(void **state)
{
    (void)state;
    static const struct contradiction cases[] = {
        {"{\"endpoints\": [{\"path\": \"/a\",\n\"subprotocols\": [\"a b\"]}]}", "subprotocols: found \"a b\""},
        {"{\"endpoints\": [{\"path\": \"/a\",\n\"headers\": [\"Cookie\"]}]}", "headers: found \"Cookie\""},
        {"{\"endpoints\": [{\"path\": \"/a\",\n\"headers\": [\"CE-id\"]}]}", "headers: found \"CE-id\""},
        {"{\"endpoints\": [{\"path\": \"/a\",\n\"headers\": [\"x:y\"]}]}", "headers: found \"x:y\""},
        {"{\"endpoints\": [{\"path\": \"/a\",\n\"require_claims\": [\"{x}\"]}]}", "require_claims: found \"{x}\""},
        {"{\"endpoints\": [{\"path\": \"/a\",\n\"subscribe\": [\"a:{b\"]}]}", "subscribe: "},
        {"{\"endpoints\": [{\"path\": \"/a\",\n\"subscribe\": [\"a:*\"]}]}", "subscribe: found \"a:*\""},
        {"{\"endpoints\": [{\"path\": \"/a\",\n\"binary_type\": \"audio\"}]}", "binary_type: found \"audio\""},
        {"{\"endpoints\": [{\"path\": \"/a\", \"correlation\": {\n\"id\": \"id\"}}]}", "correlation.id: "},
        {"{\"endpoints\": [{\"path\": \"/a\", \"correlation\": {\n\"idempotency_key\": \"/a~2\"}}]}",
         "idempotency_key: "},
        {"{\"endpoints\": [{\"path\": \"/a\", \"correlation\": {\n\"error\": [\"{id}\"]}}]}", "expected an object"},
        {"{\"endpoints\": [{\"path\": \"/a\", \"correlation\": {\n\"error\": {\"a\": \"{what}\"}}}]}",
         "correlation.error: "},
        {"{\"upstreams\": {\"x\": {\n\"url\": \"ftp://h\"}}}", "upstreams.x.url: expected an address"},
        {"{\"upstreams\": {\"x\": {\n\"url\": \"http://\"}}}", "upstreams.x.url: expected an address"},
        {"{\"upstreams\": {\"x\": {\n\"url\": \"http://user:secret@h/\"}}}", "upstreams.x.url: expected an address"},
        {"{\"upstreams\": {\"x\": {\n\"url\": \"http://h:0/\"}}}", "upstreams.x.url: expected an address"},
        {"{\"upstreams\": {\"x\": {\n\"url\": \"http://[::1]:65536\"}}}", "upstreams.x.url: expected an address"},
        {"{\"upstreams\": {\"x\": {\n\"url\": \"http://h/{id}\"}}}", "upstreams.x.url: expected an address"},
        {"{\"upstreams\": {\n\"a b\": {\"url\": \"http://h\"}}}", "found \"a b\", expected a name"},
        {"{\"upstreams\": {\"x\": {\"url\": \"http://h\"},\n\"x\": {\"url\": \"http://h\"}}}", "\"x\" is given twice"},
        {"{\"upstreams\": {\"x\": {\"url\": \"http://h\",\n\"name\": \"y\"}}}", "unknown option \"name\""},
        {"{\"upstreams\": {\"x\": {\"url\": \"http://h\",\n\"redis_stream\": \"a b\"}}}",
         "redis_stream: found \"a b\""},
        {"{\"tickets\": {\n\"path\": \"/a/{b}\"}}", "tickets.path: found"},
        {"{\"tickets\": {\n\"answer\": {\"a\": \"{tikcet}\"}}}", "tickets.answer: "},
        {"{\"tickets\": {\"request\": {\n\"purpose\": \"purpose\"}}}", "tickets.request.purpose: "},
        {"{\"lifecycle\": {\n\"channels\": [\"user:{sub}\"]}}", "lifecycle.channels: "},
        {"{\"lifecycle\": {\n\"types\": [\"session\"]}}", "lifecycle.types: found \"session\""},
        {"{\"lifecycle\": {\"http\": {\n\"url\": \"ws://h\"}}}", "lifecycle.http.url: expected an address"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct loading l = load_text(cases[i].text);
        if (l.err == ERR_NONE || strncmp(buf_cstr(&l.messages), "test.jsonc:2: ", 14) != 0 ||
            !strstr(buf_cstr(&l.messages), cases[i].message) || strstr(buf_cstr(&l.messages), "secret"))
            fail_msg("expected %s, found %s", cases[i].message, buf_cstr(&l.messages));
        load_end(&l);
    }
}

static void what_does_nothing_is_noted(void **state)
{
    (void)state;
    static const struct contradiction cases[] = {
        {"{\"endpoints\": [{\"path\": \"/a\",\n\"query\": [\"x\"]}]}", ":2: endpoints[0].query: note: does nothing"},
        {"{\"endpoints\": [{\"path\": \"/a\",\n\"headers\": [\"x\"]}]}",
         ":2: endpoints[0].headers: note: does nothing"},
        {"{" UPSTREAM "\"endpoints\": [{\"path\": \"/a\",\n\"upstream\": \"ai\"}]}",
         ":2: endpoints[0].upstream: note: gets nothing from here"},
        {"{" UPSTREAM
         "\"endpoints\": [{\"path\": \"/a\", \"upstream\": \"ai\", \"text\": \"upstream\", \"correlation\": {\n"
         "\"idempotency_key\": \"/k\"}}]}",
         ":2: endpoints[0].correlation.idempotency_key: note: does nothing"},
        {"{" UPSTREAM
         "\"endpoints\": [{\"path\": \"/a\", \"upstream\": \"ai\", \"text\": \"upstream\",\n\"frames\": []}]}",
         ":2: endpoints[0].frames: note: has no \"error\""},
        {"{\"upstreams\": {\n\"x\": {\"url\": \"http://h\"}}}", ":2: upstreams.x: note: no endpoint names it"},
        {"{\"endpoints\": [{\"path\": \"/a\", \"upstream\": \"x\", \"text\": \"upstream\"}], \"upstreams\": {\"x\": "
         "{\"url\": "
         "\"http://h\",\n\"idempotency\": {}}}}",
         ":2: upstreams.x.idempotency: note: does nothing"},
        {"{\"upstreams\": {\"x\": {\"url\": \"http://h\",\n\"hub\": \"chat\"}}}",
         ":2: upstreams.x.hub: note: does nothing"},
        {"{\"upstreams\": {\"x\": {\"url\": \"http://h\",\n\"tls_ca\": \"ca.pem\"}}}",
         ":2: upstreams.x.tls_ca: note: does"},
        {"{\"tickets\": {\n\"origins\": [\"https://a\"]}}", ":2: tickets.origins: note: does nothing"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct loading l = load_text(cases[i].text);
        assert_loads(&l);
        assert_int_equal(options_validate(&l.options, &l.sources, &l.messages), ERR_NONE);
        options_advise(&l.options, &l.sources, &l.messages);
        if (!strstr(buf_cstr(&l.messages), cases[i].message))
            fail_msg("expected %s, found %s", cases[i].message, buf_cstr(&l.messages));
        load_end(&l);
    }
}

static void failures_that_are_told_are_not_noted(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{" UPSTREAM "\"endpoints\": [{\"path\": \"/a\", \"upstream\": \"ai\", \"text\": \"upstream\"}]}",
        "{" UPSTREAM "\"endpoints\": [{\"path\": \"/a\", \"upstream\": \"ai\", \"text\": \"upstream\", \"frames\": [], "
        "\"correlation\": {\"id\": \"/id\", \"error\": {\"id\": \"{id}\"}}}]}",
        "{\"upstreams\": {\"x\": {\"url\": \"http://h\", \"on_failure\": \"close\"}}, \"endpoints\": [{\"path\": "
        "\"/a\", "
        "\"upstream\": \"x\", \"binary\": \"upstream\", \"frames\": [\"session_init\"]}]}",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct loading l = load_text(cases[i]);
        assert_loads(&l);
        options_advise(&l.options, &l.sources, &l.messages);
        if (strstr(buf_cstr(&l.messages), "frames"))
            fail_msg("found %s", buf_cstr(&l.messages));
        load_end(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contradictions_are_found),
        cmocka_unit_test(bad_texts_are_refused),
        cmocka_unit_test(what_does_nothing_is_noted),
        cmocka_unit_test(failures_that_are_told_are_not_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
