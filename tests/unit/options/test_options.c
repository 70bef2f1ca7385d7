/* test_options.c - the engine, on the server's own table: the values of each source, which source goes over which,
 * and the texts about mistakes. */
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "server/net/admission/settings.h"
#include "tests/unit/options/loading.h"

#define SECRET_A "0123456789abcdef0123456789abcdef"
#define SECRET_B "fedcba9876543210fedcba9876543210"

/* Makes a temporary file with this text. path is an array of at least 32. */
static void make_file(char *path, const char *text)
{
    strcpy(path, "/tmp/carillon-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void comments_and_last_commas_are_allowed(void **state)
{
    (void)state;
    struct loading l = load_text("\xEF\xBB\xBF// a file\n{ /* \"port\": 1, */ \"port\": 81, // the port\n"
                                 "\"redis\": {\"prefix\": \"a//b,}/*\",},\n"
                                 "\"channels\": [{\"match\": \"a\", \"allow\": [\"publish\",],},],\n}\n// end");
    assert_int_not_equal(l.err, ERR_NONE); /* the prefix was read whole, and has characters it may not have */
    assert_non_null(strstr(buf_cstr(&l.messages), "a//b,}/*"));
    load_end(&l);
    l = load_text("{\"port\": 81, /* x */ \"api\": {\"max_batch\": 2 /* y */ , // z\n },}");
    assert_loads(&l);
    assert_int_equal(l.options.port, 81);
    assert_int_equal(l.options.api_max_batch, 2);
    load_end(&l);
    assert_refused("{\"port\": 81,,}", "test.jsonc:1: expected a member name, found ','\n");
    assert_refused("{,}", "test.jsonc:1: expected a member name or '}', found ','\n");
    assert_refused("{\n\"port\": 1\n/* no end", "test.jsonc:3: this comment has no end\n");
    assert_refused("[]", "test.jsonc:1: a configuration is one object: { ... }\n");
}

static void values_of_every_type_are_read(void **state)
{
    (void)state;
    struct loading l = load_text(
        "{\"limits\": {\"message_bytes\": \"128K\", \"event_bytes\": 4096}, \"ping_interval\": \"2m\",\n"
        "\"token\": {\"require_exp\": false, \"secret\": \"" SECRET_A "\", \"issuers\": [\"a\", \"b\\u00e9\"]},\n"
        "\"log\": {\"level\": \"debug\"}, \"trusted_proxies\": [\"10.0.0.0/8\", \"::1\"],\n"
        "\"endpoints\": [{\"path\": \"/a\", \"close_codes\": {\"token_expired\": 4001}}, {\"path\": \"/b\",\n"
        "\"reject\": \"close\"}],\n"
        "\"channels\": [{\"match\": \"{sub}:*\", \"history\": {\"size\": 5, \"ttl\": \"1d\"}, \"require\": "
        "\"grant\"}]}");
    assert_loads(&l);
    const struct options *o = &l.options;
    assert_int_equal(o->limits_message_bytes, 128 * 1024);
    assert_int_equal(o->limits_event_bytes, 4096);
    assert_int_equal(o->ping_interval_ms, 120000);
    assert_false(o->token_require_exp);
    assert_string_equal(o->token_secret, SECRET_A);
    assert_int_equal(o->token_issuers.count, 2);
    assert_string_equal(o->token_issuers.items[1], "b\xC3\xA9");
    assert_int_equal(o->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(o->trusted_proxies.count, 2);
    assert_int_equal(o->endpoints.count, 2);
    assert_string_equal(o->endpoints.items[0].close_codes.items[0].name, "token_expired");
    assert_int_equal(o->endpoints.items[0].close_codes.items[0].value, 4001);
    assert_true(o->endpoints.items[1].token_header); /* a record's own default */
    assert_int_equal(o->endpoints.items[1].reject, REJECT_CLOSE);
    assert_int_equal(o->channels.items[0].history_size, 5);
    assert_int_equal(o->channels.items[0].history_ttl_ms, 86400000);
    assert_int_equal(o->channels.items[0].require, CHANNEL_REQUIRE_GRANT);
    load_end(&l);
}

static void mistakes_are_named_with_line_and_remedy(void **state)
{
    (void)state;
    assert_refused(
        "{\n\"limits\": {\n\"message_bytes\": \"lots\"}}",
        "test.jsonc:3: limits.message_bytes: found \"lots\", expected a size from 1k to 16m such as \"64k\"\n");
    assert_refused("{\"limits\": {\"mesage_bytes\": 1}}",
                   "test.jsonc:1: unknown option \"limits.mesage_bytes\"; did you mean \"limits.message_bytes\"?\n");
    assert_refused("{\"message_bytes\": 1}",
                   "test.jsonc:1: unknown option \"message_bytes\"; did you mean \"limits.message_bytes\"?\n");
    assert_refused("{\"limits.channels\": 1}",
                   "test.jsonc:1: unknown option \"limits.channels\"; nest it: \"limits\": {\"channels\": ...}\n");
    assert_refused("{\"port\": 1,\n\"port\": 2}", "test.jsonc:2: port: given twice\n");
    assert_refused("{\"port\": \"80\"}", "test.jsonc:1: port: found \"80\", expected a whole number from 0 to 65535\n");
    assert_refused("{\"port\": 1.5}", "test.jsonc:1: port: found 1.5, expected a whole number from 0 to 65535\n");
    assert_refused("{\"limits\": 5}", "test.jsonc:1: limits: an object of options is expected: { ... }\n");
    assert_refused("{\"channels\": [{}]}", "test.jsonc:1: channels[0].match: is missing\n");
    assert_refused("{\"channels\": [{\"match\": \"a\", \"alow\": []}]}",
                   "test.jsonc:1: channels[0]: unknown option \"alow\"; did you mean \"allow\"?\n");
    assert_refused("{\"log\": {\"level\": \"loud\"}}",
                   "test.jsonc:1: log.level: found \"loud\", expected one of error, warn, info, debug\n");
    assert_refused("{\"host\": \"a\\u0000b\"}", "test.jsonc:1: host: the text has a NUL character\n");
    /* All of them are said, not only the first. */
    assert_refused("{\"port\": -1,\n\"workers\": 65}",
                   "test.jsonc:1: port: found -1, expected a whole number from 0 to 65535\n"
                   "test.jsonc:2: workers: found 65, expected a whole number from 0 to 64\n");
}

static void secrets_are_not_repeated(void **state)
{
    (void)state;
    assert_refused("{\"token\": {\"secret\": \"hunter2\"}}",
                   "test.jsonc:1: token.secret: found a text of 7 bytes, expected a secret from 32 to 4096 bytes\n");
    struct loading l = load_text("{\"redis\": {\"url\": \"redis//:hunter2@h\"}, \"api\": {\"keys\": [\"hunter2\"]}}");
    assert_int_not_equal(l.err, ERR_NONE);
    assert_null(strstr(buf_cstr(&l.messages), "hunter2"));
    load_end(&l);
    l = load_text("{\"redis\": {\"url\": \"redis://me:hunter2@h/1\"}, \"token\": {\"secret\": \"" SECRET_A "\",\n"
                  "\"keys\": [{\"secret\": \"" SECRET_B "\"}]}, \"api\": {\"keys\": [\"" SECRET_B "\"]}}");
    assert_loads(&l);
    struct buf out = {0};
    options_print(&options_table, &l.options, &l.sources, &out);
    assert_non_null(strstr(buf_cstr(&out), "\"redis://***@h/1\", // test.jsonc:1"));
    assert_non_null(strstr(buf_cstr(&out), "\"secret\": \"***\", // test.jsonc:1"));
    assert_null(strstr(buf_cstr(&out), "hunter2"));
    assert_null(strstr(buf_cstr(&out), SECRET_A));
    assert_null(strstr(buf_cstr(&out), SECRET_B));
    buf_fini(&out);
    load_end(&l);
}

static void each_source_goes_over_the_one_before(void **state)
{
    (void)state;
    char path[32];
    char text[512];
    make_file(path, "{\"port\": 1,\n\"workers\": 1, \"drain_window\": \"1s\", \"log\": {\"level\": \"warn\"}}");
    char config[64];
    snprintf(config, sizeof config, "--config=%s", path);
    const char *const flags[] = {config, "--port", "3", "--log.level=debug", "--limits-message-bytes", "2k", NULL};
    const char *const env[] = {"PORT=9",
                               "CARILLON_PORT=2",
                               "CARILLON_WORKERS=2",
                               "CARILLON_LOG_LEVEL=error",
                               "REDIS_URL=redis://h",
                               "CARILLON_HOST=",
                               "HOME=/",
                               NULL};
    struct loading l = load_words(flags, env, NULL);
    assert_loads(&l);
    assert_int_equal(l.options.port, 3);
    assert_int_equal(l.options.workers, 2);
    assert_int_equal(l.options.drain_window_ms, 1000);
    assert_int_equal(l.options.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(l.options.limits_message_bytes, 2048);
    assert_string_equal(l.options.host, "0.0.0.0"); /* an empty variable is none */
    assert_string_equal(l.options.redis_url, "redis://h");
    char source[64];
    snprintf(source, sizeof source, "%s:2", path);
    assert_string_equal(option_source_text(&options_table, &l.sources, "drain_window", text), source);
    assert_string_equal(option_source_text(&options_table, &l.sources, "port", text), "--port");
    assert_string_equal(option_source_text(&options_table, &l.sources, "workers", text), "CARILLON_WORKERS");
    assert_string_equal(option_source_text(&options_table, &l.sources, "redis.url", text), "REDIS_URL");
    assert_string_equal(option_source_text(&options_table, &l.sources, "host", text), "default");
    assert_int_equal(l.messages.len, 0);
    load_end(&l);
    unlink(path);
}

static void flags_and_variables_take_lists(void **state)
{
    (void)state;
    const char *const flags[] = {
        "--trusted-proxies",    "10.0.0.0/8, ::1,", "--redis", "redis://h",           "--channels",
        "[{\"match\": \"a\"}]", "--events.custom",  "off",     "--token-require-exp", NULL};
    const char *const env[] = {"CARILLON_TOKEN_AUDIENCES=[\"a,b\"]", "CARILLON_TRUSTED_PROXIES=1.2.3.4", NULL};
    struct loading l = load_words(flags, env, NULL);
    assert_loads(&l);
    assert_int_equal(l.options.trusted_proxies.count, 2); /* replaced whole */
    assert_string_equal(l.options.trusted_proxies.items[1], "::1");
    assert_int_equal(l.options.channels.count, 1);
    assert_string_equal(l.options.token_audiences.items[0], "a,b");
    assert_false(l.options.events_custom);
    assert_true(l.options.token_require_exp);
    load_end(&l);
}

/* Groups in groups, JSON, maps, and numbers that can be unset have the same forms as all others. */
static void nested_options_have_flags_and_variables(void **state)
{
    (void)state;
    const char *const flags[] = {"--tickets-request-purpose",
                                 "/why",
                                 "--tickets.answer",
                                 "{\"t\": [ \"{ticket}\", 1 ]}",
                                 "--upstreams",
                                 "{\"ai\": {\"url\": \"http://h\", \"connect\": {}}, \"b\": {\"url\": \"http://h\"}}",
                                 NULL};
    const char *const env[] = {"CARILLON_LIFECYCLE_HTTP_URL=http://h/events", "CARILLON_TICKETS_REQUEST_RESOURCE=/what",
                               "CARILLON_TICKETS_REQUEST_PURPOSE=/under",
                               "CARILLON_ENDPOINTS=[{\"path\": \"/a\", \"limits\": {\"channels\": null}}]", NULL};
    struct loading l = load_words(flags, env, NULL);
    char source[512];
    assert_loads(&l);
    assert_string_equal(l.options.tickets.request_purpose, "/why");
    assert_string_equal(l.options.tickets.request_resource, "/what");
    assert_string_equal(l.options.tickets.answer, "{\"t\":[\"{ticket}\",1]}");
    assert_string_equal(l.options.lifecycle.http_url, "http://h/events");
    assert_int_equal(l.options.upstreams.count, 2);
    assert_string_equal(l.options.upstreams.items[1].name, "b");
    assert_true(l.options.upstreams.items[0].connect_enabled);
    assert_false(l.options.upstreams.items[1].connect_enabled);
    assert_int_equal(l.options.endpoints.items[0].limits_channels, OPTION_UNSET);
    assert_string_equal(option_source_text(&options_table, &l.sources, "upstreams.ai.url", source), "--upstreams");
    assert_string_equal(option_source_text(&options_table, &l.sources, "endpoints[0].path", source),
                        "CARILLON_ENDPOINTS");
    load_end(&l);
}

/* The nearest thing around a member that was given; a list from elsewhere has no lines of the file. */
static void members_have_lines(void **state)
{
    (void)state;
    struct loading l = load_text("{\"endpoints\": [\n{\"path\": \"/a\",\n\"limits\": {\n\"channels\": 3}},\n{\"path\": "
                                 "\"/b\"}],\n\"upstreams\": {\n\"ai\": {\n\"url\": \"http://h\"}},\n\"tickets\": "
                                 "{\"request\": {\n\"purpose\": \"/p\"}}}");
    static const struct {
        const char *key;
        const char *source;
    } cases[] = {
        {"endpoints[0].limits.channels", "test.jsonc:4"},
        {"endpoints[0].limits", "test.jsonc:3"},
        {"endpoints[0].limits.message_bytes", "test.jsonc:3"},
        {"endpoints[0].frames", "test.jsonc:2"},
        {"endpoints[1].path", "test.jsonc:5"},
        {"endpoints", "test.jsonc:1"},
        {"endpoints[7].path", "test.jsonc:1"},
        {"upstreams.ai", "test.jsonc:7"},
        {"upstreams.ai.url", "test.jsonc:8"},
        {"upstreams.ai2", "test.jsonc:6"},
        {"tickets.request.purpose", "test.jsonc:10"},
        {"tickets.path", "default"},
        {"nothing", "default"},
    };
    assert_loads(&l);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char source[512];
        assert_string_equal(option_source_text(&options_table, &l.sources, cases[i].key, source), cases[i].source);
    }
    load_end(&l);
}

static void bad_words_are_refused(void **state)
{
    (void)state;
    const char *const flags[] = {"--prot", "1", "--port", "x", "my.word", "--confg", "x", "--workers", NULL};
    bool wrong_call = false;
    const struct options_input asks = {.wrong_call = &wrong_call};
    struct loading l = load_words(flags, NULL, &asks);
    assert_int_not_equal(l.err, ERR_NONE);
    assert_true(wrong_call);
    assert_str(buf_str(&l.messages), "unknown flag \"--prot\"; did you mean --port?\n"
                                     "--port: port: found \"x\", expected a whole number from 0 to 65535\n"
                                     "unexpected word \"my.word\"; a configuration file is given with --config FILE\n"
                                     "unknown flag \"--confg\"; did you mean --config?\n"
                                     "--workers: a value is expected after it\n");
    load_end(&l);
    const char *const env[] = {"CARILLON_WORKERS=no", NULL};
    l = load_words(NULL, env, &asks);
    assert_false(wrong_call); /* the environment's mistake */
    assert_str(buf_str(&l.messages), "CARILLON_WORKERS: workers: found \"no\", expected a whole number from 0 to 64\n");
    load_end(&l);
    const char *const missing[] = {"--config", "/nonexistent/c.jsonc", NULL};
    l = load_words(missing, NULL, NULL);
    assert_str(buf_str(&l.messages), "cannot read /nonexistent/c.jsonc: No such file or directory\n");
    load_end(&l);
}

static void strange_variables_only_warn(void **state)
{
    (void)state;
    const char *const env[] = {"CARILLON_PORT=tcp://10.0.0.1:80", "CARILLON_SERVICE_HOST=10.0.0.1", "CARILLON_PROT=5",
                               NULL};
    struct loading l = load_words(NULL, env, NULL);
    assert_loads(&l);
    assert_int_equal(l.options.port, 8080);
    assert_str(buf_str(&l.messages), "CARILLON_PROT: no option has this name; ignored\n");
    load_end(&l);
}

static void secrets_come_from_files(void **state)
{
    (void)state;
    char secret[32], keys[32], config[32], text[160];
    make_file(secret, SECRET_A "\n");
    make_file(keys, SECRET_A "\r\n\n  " SECRET_B "\n");
    const char *const flags[] = {"--token-secret-file", secret, NULL};
    char variable[96];
    snprintf(variable, sizeof variable, "CARILLON_API_KEYS_FILE=%s", keys);
    const char *const env[] = {variable, NULL};
    struct loading l = load_words(flags, env, NULL);
    assert_loads(&l);
    assert_string_equal(l.options.token_secret, SECRET_A);
    assert_int_equal(l.options.api_keys.count, 2);
    assert_string_equal(l.options.api_keys.items[1], SECRET_B);
    load_end(&l);
    /* Names in a file start at its folder, also the path of a key. */
    snprintf(text, sizeof text, "{\"token\": {\"secret_file\": \"%s\", \"keys\": [{\"file\": \"k.pem\"}]}}",
             strrchr(secret, '/') + 1);
    make_file(config, text);
    const char *const from_config[] = {"--config", config, NULL};
    l = load_words(from_config, NULL, NULL);
    assert_loads(&l);
    assert_string_equal(l.options.token_secret, SECRET_A);
    assert_string_equal(l.options.token_keys.items[0].file, "/tmp/k.pem");
    load_end(&l);
    assert_refused("{\"token\": {\"secret\": \"" SECRET_A "\",\n\"secret_file\": \"x\"}}",
                   "test.jsonc:2: token.secret: given twice\n");
    unlink(secret);
    unlink(keys);
    unlink(config);
}

static void presets_lie_between_defaults_and_the_rest(void **state)
{
    (void)state;
    static const struct option_preset presets[] = {{"host", "127.0.0.1", false}, {"port", "0", false}};
    const char *const flags[] = {"--port", "5", "--help", NULL};
    bool help = false;
    const struct option_switch switches[] = {{"--help", &help}};
    const struct options_input more = {
        .presets = presets, .preset_count = COUNT_OF(presets), .switches = switches, .switch_count = 1};
    struct loading l = load_words(flags, NULL, &more);
    assert_loads(&l);
    assert_string_equal(l.options.host, "127.0.0.1");
    assert_int_equal(l.options.port, 5);
    assert_true(help);
    load_end(&l);
}

static void some_presets_go_over_the_file(void **state)
{
    (void)state;
    static const struct option_preset presets[] = {{"workers", "3", false},
                                                   {"host", "127.0.0.1", true},
                                                   {"token.secret", SECRET_B, true},
                                                   {"token.keys", "", true},
                                                   {"internal.port", "7", true}};
    const struct options_input more = {.presets = presets, .preset_count = COUNT_OF(presets)};
    /* The files of the secrets are on another machine. */
    char config[32];
    make_file(config, "{\"host\": \"10.0.0.1\", \"workers\": 5, \"internal\": {\"port\": 9}, \"token\": "
                      "{\"secret_file\": \"/nowhere/a\", \"keys\": [{\"secret_file\": \"/nowhere/b\"}]}}");
    const char *const flags[] = {"--config", config, "--internal-port", "8", NULL};
    struct loading l = load_words(flags, NULL, &more);
    assert_loads(&l);
    assert_string_equal(l.options.host, "127.0.0.1");
    assert_int_equal(l.options.workers, 5);
    assert_string_equal(l.options.token_secret, SECRET_B);
    assert_int_equal(l.options.token_keys.count, 0);
    assert_int_equal(l.options.internal_port, 8);
    load_end(&l);
    unlink(config);
}

static void a_reload_keeps_what_cannot_change(void **state)
{
    (void)state;
    struct loading old = load_text("{\"port\": 1, \"workers\": 5, \"limits\": {\"channels\": 1}}");
    struct loading fresh = load_text(
        "{\"port\": 2, \"workers\": 5, \"limits\": {\"channels\": 2}, \"trusted_proxies\": [\"10.0.0.0/8\"]}");
    struct buf keys = {0};
    assert_loads(&old);
    assert_loads(&fresh);
    assert_int_equal(options_changed(&options_table, &old.options, &fresh.options, &keys), 2);
    assert_str(buf_str(&keys), "port, trusted_proxies");
    options_keep(&options_table, &old.options, &fresh.options);
    assert_int_equal(fresh.options.port, 1);
    assert_int_equal(fresh.options.trusted_proxies.count, 0);
    assert_int_equal(fresh.options.limits_channels, 2); /* live */
    buf_fini(&keys);
    load_end(&old);
    load_end(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comments_and_last_commas_are_allowed),
        cmocka_unit_test(values_of_every_type_are_read),
        cmocka_unit_test(mistakes_are_named_with_line_and_remedy),
        cmocka_unit_test(secrets_are_not_repeated),
        cmocka_unit_test(each_source_goes_over_the_one_before),
        cmocka_unit_test(flags_and_variables_take_lists),
        cmocka_unit_test(nested_options_have_flags_and_variables),
        cmocka_unit_test(members_have_lines),
        cmocka_unit_test(bad_words_are_refused),
        cmocka_unit_test(strange_variables_only_warn),
        cmocka_unit_test(secrets_come_from_files),
        cmocka_unit_test(presets_lie_between_defaults_and_the_rest),
        cmocka_unit_test(some_presets_go_over_the_file),
        cmocka_unit_test(a_reload_keeps_what_cannot_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
