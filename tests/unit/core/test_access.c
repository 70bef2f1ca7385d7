/* test_access.c - rules, grants and scopes: who may do what. */
#include "server/core/access.h"
#include "tests/support/unit.h"

static const struct rule rules_given[] = {
    {.match = STR("user:{sub}"), .allow = ALLOW_SUBSCRIBE | ALLOW_HISTORY},
    {.match = STR("team:{team}:*"), .allow = ALLOW_SUBSCRIBE},
    {.match = STR("room:*"),
     .require_grant = true,
     .allow = ALLOW_SUBSCRIBE | ALLOW_PUBLISH,
     .history = {.size = 100, .ttl_ms = 600000}},
    {.match = STR("admin:*"), .require_scope = STR("admin"), .allow = ALLOW_ALL},
    {.match = STR("public:closed:*"), .allow = 0},
    {.match = STR("public:*"), .allow = ALLOW_SUBSCRIBE},
};

static void test_table(void **state)
{
    static const struct {
        const char *payload;
        const char *channel;
        unsigned allowed;
    } cases[] = {
        {"{\"sub\":\"alice\"}", "user:alice", ALLOW_SUBSCRIBE | ALLOW_HISTORY},
        {"{\"sub\":\"alice\"}", "user:bob", 0},
        {"{\"sub\":\"alice\"}", "user:alice:x", 0},
        {"{\"sub\":\"*\"}", "user:bob", 0}, /* a claim is text, never a pattern */
        {"{\"sub\":\"{sub}\"}", "user:bob", 0},
        {"{\"sub\":\"a\",\"team\":7}", "team:7:news", ALLOW_SUBSCRIBE},
        {"{\"sub\":\"a\"}", "team:7:news", 0},
        {"{\"sub\":\"a\",\"team\":[7]}", "team:7:news", 0},
        {"{\"sub\":\"a\"}", "room:1", 0},
        {"{\"sub\":\"a\",\"channels\":[\"room:1\"]}", "room:1", ALLOW_SUBSCRIBE | ALLOW_PUBLISH},
        {"{\"sub\":\"a\",\"channels\":[\"room:1\"]}", "room:12", 0},
        {"{\"sub\":\"a\",\"channels\":[\"room:*\"]}", "room:12", ALLOW_SUBSCRIBE | ALLOW_PUBLISH},
        {"{\"sub\":\"a\",\"channels\":[{\"match\":\"room:*\",\"allow\":[\"subscribe\"]}]}", "room:12", ALLOW_SUBSCRIBE},
        {"{\"sub\":\"a\",\"channels\":[{\"match\":\"room:*\",\"allow\":[\"presence\"]}]}", "room:12", 0},
        {"{\"sub\":\"a\",\"channels\":[{\"match\":\"room:*\",\"allow\":[\"subscribe\"]},"
         "{\"match\":\"room:1\",\"allow\":[\"publish\"]}]}",
         "room:1", ALLOW_SUBSCRIBE | ALLOW_PUBLISH},
        {"{\"sub\":\"a\",\"channels\":[\"public:*\",\"other:*\"]}", "other:1",
         0}, /* a grant without a rule is nothing */
        {"{\"sub\":\"a\"}", "admin:1", 0},
        {"{\"sub\":\"a\",\"scope\":\"read administrator\"}", "admin:1", 0},
        {"{\"sub\":\"a\",\"scope\":\"read admin\"}", "admin:1", ALLOW_ALL},
        {"{\"sub\":\"a\"}", "public:closed:1", 0}, /* the first match decides */
        {"{\"sub\":\"a\"}", "public:1", ALLOW_SUBSCRIBE},
        {"{\"sub\":\"a\"}", "unknown", 0},
        {"{\"sub\":\"urn:acme:7\"}", "user:urn:acme:7", ALLOW_SUBSCRIBE | ALLOW_HISTORY},
        {"{\"sub\":\"urn:acme:7\"}", "user:urn:acme:8", 0},
        {"{\"sub\":\"ren\\u00e9\"}", "user:ren\xC3\xA9", ALLOW_SUBSCRIBE | ALLOW_HISTORY},
        {"{\"sub\":\"a\",\"team\":\"x\\/y\"}", "team:x/y:news", ALLOW_SUBSCRIBE},
        {"{\"sub\":\"a\",\"channels\":[{\"match\":\"room:\\u0031\",\"allow\":[\"publis\\u0068\"]}]}", "room:1",
         ALLOW_PUBLISH},
        {"{\"sub\":\"a\",\"org\":\"\\u0061\",\"channels\":[\"room:{org}\"]}", "room:a",
         ALLOW_SUBSCRIBE | ALLOW_PUBLISH},
    };
    (void)state;
    struct rules *rules = rules_create(rules_given, sizeof rules_given / sizeof *rules_given);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct claims *claims;
        struct error error;
        if (claims_parse(str_from_cstr(cases[i].payload), &claims, &error))
            fail_msg("%s: %s", cases[i].payload, error.text);
        unsigned allowed = access_allowed(rules, str_from_cstr(cases[i].channel), claims);
        if (allowed != cases[i].allowed)
            fail_msg("%s on %s: %u, not %u", cases[i].payload, cases[i].channel, allowed, cases[i].allowed);
        claims_unref(claims);
    }
    rules_unref(rules);
}

static void test_why_not(void **state)
{
    static const struct rule some[] = {
        {.match = STR("user:{sub}"), .allow = ALLOW_SUBSCRIBE},
        {.match = STR("team:{team}:{sub}"), .allow = ALLOW_ALL},
        {.match = STR("room:*"), .require_grant = true, .allow = ALLOW_ALL},
        {.match = STR("admin:*"), .require_scope = STR("boss"), .allow = ALLOW_ALL},
    };
    static const struct {
        const char *payload, *channel;
        enum allow wanted;
        const char *says; /* NULL: it may */
    } cases[] = {
        {"{\"sub\":\"ann\"}", "user:ann", ALLOW_SUBSCRIBE, NULL},
        {"{\"sub\":\"ann\"}", "other", ALLOW_SUBSCRIBE, "no rule of the server matches this channel"},
        {"{\"sub\":\"ann\"}", "user:ann", ALLOW_PUBLISH, "does not allow publish to clients"},
        {"{\"sub\":\"ann\"}", "user:bob", ALLOW_SUBSCRIBE, "this is another user's channel; this token is for \"ann\""},
        {"{\"sub\":\"ann\"}", "team:7:ann", ALLOW_PRESENCE, "needs the claim \"team\", and the token has none"},
        {"{\"sub\":\"ann\",\"team\":[7]}", "team:7:ann", ALLOW_PRESENCE, "a text or a whole number"},
        {"{\"sub\":\"ann\",\"team\":\"\"}", "team:7:ann", ALLOW_PRESENCE, "needs the claim \"team\""},
        {"{\"sub\":\"ann\",\"team\":8}", "team:7:ann", ALLOW_PRESENCE,
         "for other claims than this token's: \"team\", or another"},
        {"{\"sub\":\"ann\",\"team\":7}", "team:7:ann", ALLOW_PRESENCE, NULL},
        {"{\"sub\":\"ann\"}", "room:1", ALLOW_HISTORY, "none in the token's claim channels covers it for history"},
        {"{\"sub\":\"ann\",\"channels\":[\"room:2\"]}", "room:1", ALLOW_HISTORY, "needs a grant"},
        {"{\"sub\":\"ann\",\"channels\":[\"room:1\"]}", "room:1", ALLOW_HISTORY, NULL},
        {"{\"sub\":\"ann\"}", "admin:1", ALLOW_PUBLISH, "needs the scope \"boss\""},
    };
    (void)state;
    struct rules *rules = rules_create(some, sizeof some / sizeof *some);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct claims *claims;
        struct error error = {0};
        assert_int_equal(claims_parse(str_from_cstr(cases[i].payload), &claims, &error), ERR_NONE);
        enum err err = access_check(rules, str_from_cstr(cases[i].channel), claims, cases[i].wanted, &error);
        if (err != (cases[i].says ? ERR_UNAUTHORIZED : ERR_NONE) ||
            (cases[i].says && !strstr(error.text, cases[i].says)))
            fail_msg("%s on %s: %s", cases[i].payload, cases[i].channel, error.text);
        claims_unref(claims);
    }
    rules_unref(rules);
}

/* The size tells the rule. */
static void test_how_a_channel_is_kept(void **state)
{
    static const struct rule some[] = {
        {.match = STR("user:{sub}"), .history = {.size = 1}, .presence = {.kept = true, .events = true, .ttl_ms = 9}},
        {.match = STR("user:{sub}:inbox"), .history = {.size = 2}},
        {.match = STR("team:{team}:*"), .history = {.size = 3}},
        {.match = STR("team:{team}:room:*"), .history = {.size = 4}},
        {.match = STR("room:*"), .history = {.size = 5}},
        {.match = STR("room:vip"), .history = {.size = 6}},
        {.match = STR("*:{a}:{b}:log"), .history = {.size = 7}},
        {.match = STR("user:*:b:c:d"), .history = {.size = 8}},
        {.match = STR("u*"), .history = {.size = 9}},
    };
    static const struct {
        const char *channel;
        uint64_t size;
    } cases[] = {
        {"user:7", 1},        {"user:urn:acme:7", 1}, /* "u*" comes later */
        {"user:7:inbox", 2},  {"user:urn:acme:7:inbox", 2},
        {"user:7:outbox", 1}, {"team:a:room:1", 3}, /* the first that fits decides, where the name alone says it */
        {"room:vip", 5},      {"x:y:z:log", 7},
        {"x:y:log", 0},       {"user:a:b:c:d", 8}, /* "user:{sub}" would need a ':', and this one says more */
        {"upper", 9},         {"unknown", 9},
        {"none", 0},          {"user:", 9},
    };
    (void)state;
    struct rules *rules = rules_create(some, sizeof some / sizeof *some);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t size = rules_keeping(rules, str_from_cstr(cases[i].channel)).history.size;
        if (size != cases[i].size)
            fail_msg("%s: %llu", cases[i].channel, (unsigned long long)size);
    }
    struct keeping keeping = rules_keeping(rules, STR("user:a:b"));
    assert_true(keeping.presence.kept && keeping.presence.events);
    assert_int_equal(keeping.presence.ttl_ms, 9);
    keeping = rules_keeping(rules, STR("none"));
    assert_false(keeping.presence.kept);
    rules_unref(rules_ref(rules));
    rules_unref(rules);
}

/* --- whatever is allowed is kept by some rule -------------------------------------------------------------------- */

static uint32_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % below;
}

/* Names, claims and patterns are made of these. Some are special in patterns, JSON, Redis keys or terminals. */
static const char *const pieces[] = {
    "a",  "b",       ":",     ":",    "::", "urn:acme:7", "did:key:z6", "spiffe://x/y",     "*", "?", "[a]", "\\", "\"",
    "\n", " ",       "{sub}", "{",    "}",  "%7B",        "\xC3\xA9",   "\xF0\x9F\x90\x99", "/", ".", "#",   "$",  "7",
    "",   "user:\t", "\x7F",  "room",
};

static void draw_text(struct buf *out, uint32_t most)
{
    for (uint32_t i = 0, count = draw(most + 1); i < count; i++)
        buf_append(out, str_from_cstr(pieces[draw(COUNT_OF(pieces))]));
}

static const char *const claim_names[] = {"sub", "team", "org.id"};

static void draw_pattern(struct buf *out)
{
    static const char *const parts[] = {"a", ":", "user:", "*", "{sub}", "{team}", "{org.id}", "{none}", "\xC3\xA9"};
    for (uint32_t i = 0, count = 1 + draw(5); i < count; i++)
        buf_append(out, str_from_cstr(parts[draw(COUNT_OF(parts))]));
}

/* As some encoders do: every byte that is plain ASCII may be written as an escape too. */
static void append_json_text(struct buf *out, struct str text, bool escape_all)
{
    if (!escape_all) {
        json_append_string(out, text);
        return;
    }
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x80)
            buf_appendf(out, "\\u%04x", (unsigned)text.ptr[i]);
        else
            buf_append_char(out, text.ptr[i]);
    buf_append_char(out, '"');
}

/* A channel that the pattern would match for these claims, more often than not. */
static void draw_channel(struct buf *out, struct str pattern, const struct buf *values)
{
    for (size_t at = 0; at < pattern.len; at++) {
        if (pattern.ptr[at] == '*') {
            draw_text(out, 2);
        } else if (pattern.ptr[at] == '{') {
            size_t len = (size_t)((const char *)memchr(pattern.ptr + at, '}', pattern.len - at) - pattern.ptr) - at;
            for (size_t i = 0; i < COUNT_OF(claim_names); i++)
                if (str_eq_cstr(str_from(pattern.ptr + at + 1, len - 1), claim_names[i]))
                    buf_append(out, buf_str(&values[i]));
            at += len;
        } else {
            buf_append_char(out, pattern.ptr[at]);
        }
    }
    if (draw(8) == 0)
        draw_text(out, 1);
}

static bool try_one(uint32_t seed)
{
    enum { RULES = 4 };
    struct buf patterns[RULES] = {0}, values[COUNT_OF(claim_names)] = {0}, payload = {0}, channel = {0};
    struct rule drawn[RULES];
    struct claims *claims;
    struct error error;
    random_state = seed;
    for (size_t i = 0; i < RULES; i++) {
        draw_pattern(&patterns[i]);
        drawn[i] = (struct rule){
            .match = buf_str(&patterns[i]), .allow = ALLOW_ALL, .history = {.size = i + 1}, .presence = {.kept = true}};
        assert_int_equal(pattern_check(drawn[i].match, NULL), ERR_NONE);
    }
    for (size_t i = 0; i < COUNT_OF(claim_names); i++) {
        draw_text(&values[i], 3);
        if (i == 0)
            buf_append_lit(&values[i], "x");
        buf_appendf(&payload, "%c\"%s\":", i ? ',' : '{', claim_names[i]);
        append_json_text(&payload, buf_str(&values[i]), draw(2));
    }
    buf_append_char(&payload, '}');
    if (claims_parse(buf_str(&payload), &claims, &error))
        fail_msg("seed %u: %s: %s", seed, buf_cstr(&payload), error.text);
    draw_channel(&channel, drawn[draw(RULES)].match, values);

    struct rules *rules = rules_create(drawn, RULES);
    bool allowed = access_allowed(rules, buf_str(&channel), claims) != 0;
    struct keeping keeping = rules_keeping(rules, buf_str(&channel));
    size_t fitting = 0;
    uint64_t one = 0;
    for (size_t i = 0; i < RULES; i++)
        if (pattern_fits(drawn[i].match, buf_str(&channel)) != PATTERN_APART) {
            fitting++;
            one = i + 1;
        }
    if (allowed && (keeping.history.size == 0 || !keeping.presence.kept))
        fail_msg("seed %u: %s on %s is allowed, and no rule keeps it", seed, buf_cstr(&payload), buf_cstr(&channel));
    if (fitting == 1 && keeping.history.size != one)
        fail_msg("seed %u: %s is kept by another rule than the one that fits", seed, buf_cstr(&channel));
    if ((fitting == 0) != (keeping.history.size == 0))
        fail_msg("seed %u: %s: %zu rules fit", seed, buf_cstr(&channel), fitting);
    rules_unref(rules);
    claims_unref(claims);
    for (size_t i = 0; i < RULES; i++)
        buf_fini(&patterns[i]);
    for (size_t i = 0; i < COUNT_OF(claim_names); i++)
        buf_fini(&values[i]);
    buf_fini(&payload);
    buf_fini(&channel);
    return allowed;
}

static void test_what_is_allowed_is_kept(void **state)
{
    size_t allowed = 0;
    (void)state;
    for (uint32_t seed = 1; seed <= 50000; seed++)
        allowed += try_one(seed);
    assert_in_range(allowed, 10000, 49000); /* both kinds were tried */
}

/* --- an index finds what a walk through all rules finds -------------------------------------------------------- */

enum { MANY = 60 };

/* With beginnings that lie in each other, side by side, and many the same. */
static void draw_nested_pattern(struct buf *out)
{
    static const char *const parts[] = {"a", "a", "b", "ab", ":", "*", "{sub}", "\xFF", "\x01"};
    buf_clear(out);
    do
        for (uint32_t i = draw(4); i > 0; i--)
            buf_append(out, str_from_cstr(parts[draw(5)]));
    while (out->len == 0);
    for (uint32_t i = draw(3); i > 0; i--)
        buf_append(out, str_from_cstr(parts[draw(COUNT_OF(parts))]));
}

static uint64_t keep_by_all(const struct rule *rules, struct str channel)
{
    const struct rule *found = NULL;
    for (size_t i = 0; i < MANY; i++) {
        enum pattern_fit fit = pattern_fits(rules[i].match, channel);
        if (fit == PATTERN_APART || (found && pattern_literals(rules[i].match) <= pattern_literals(found->match)))
            continue;
        found = &rules[i];
        if (fit == PATTERN_FITS)
            break;
    }
    return found ? found->history.size : 0;
}

static unsigned allow_by_all(struct rules *const single[MANY], struct str channel, const struct claims *claims)
{
    for (size_t i = 0; i < MANY; i++) {
        unsigned allowed = access_allowed(single[i], channel, claims);
        if (allowed)
            return allowed;
    }
    return 0;
}

static void test_many_rules_as_one_after_the_other(void **state)
{
    struct buf patterns[MANY] = {0}, channel = {0};
    struct rule drawn[MANY];
    struct rules *single[MANY];
    struct claims *claims;
    size_t matched = 0, several = 0;
    (void)state;
    assert_int_equal(claims_parse(STR("{\"sub\":\"ab:a\"}"), &claims, NULL), ERR_NONE);
    random_state = 1;
    for (int set = 0; set < 100; set++) {
        for (size_t i = 0; i < MANY; i++) {
            draw_nested_pattern(&patterns[i]);
            drawn[i] =
                (struct rule){.match = buf_str(&patterns[i]), .allow = 1 + draw(ALLOW_ALL), .history = {.size = i + 1}};
            single[i] = rules_create(&drawn[i], 1);
        }
        struct rules *rules = rules_create(drawn, MANY);
        for (int i = 0; i < 100; i++) {
            draw_nested_pattern(&channel);
            unsigned allowed = access_allowed(rules, buf_str(&channel), claims);
            uint64_t kept = rules_keeping(rules, buf_str(&channel)).history.size;
            if (allowed != allow_by_all(single, buf_str(&channel), claims))
                fail_msg("set %d: %s is allowed %u", set, buf_cstr(&channel), allowed);
            if (kept != keep_by_all(drawn, buf_str(&channel)))
                fail_msg("set %d: %s is kept by %llu", set, buf_cstr(&channel), (unsigned long long)kept);
            matched += kept > 0;
            several += kept > 1;
        }
        assert_true(rules_equal(rules, rules));
        rules_unref(rules);
        for (size_t i = 0; i < MANY; i++)
            rules_unref(single[i]);
    }
    assert_in_range(matched, 5000, 9999);
    assert_in_range(several, 4000, 9998);
    for (size_t i = 0; i < MANY; i++)
        buf_fini(&patterns[i]);
    buf_fini(&channel);
    claims_unref(claims);
}

/* Each member of a rule counts. */
static void test_equal(void **state)
{
    const struct rule base = {.match = STR("a:*"),
                              .require_scope = STR("s"),
                              .allow = ALLOW_ALL,
                              .history = {.size = 1, .ttl_ms = 2},
                              .presence = {.kept = true, .events = true, .ttl_ms = 3}};
    struct rule others[10];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(others); i++)
        others[i] = base;
    others[1].match = STR("b:*");
    others[2].require_grant = true;
    others[3].require_scope = STR("");
    others[4].allow = ALLOW_SUBSCRIBE;
    others[5].history.size = 2;
    others[6].history.ttl_ms = 1;
    others[7].presence.kept = false;
    others[8].presence.events = false;
    others[9].presence.ttl_ms = 4;
    struct rules *rules = rules_create(&base, 1);
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        struct rules *other = rules_create(&others[i], 1);
        assert_int_equal(rules_equal(rules, other), i == 0);
        rules_unref(other);
    }
    struct rules *more = rules_create(others, 2), *none = rules_create(NULL, 0);
    assert_false(rules_equal(rules, more) || rules_equal(more, rules) || rules_equal(none, rules));
    assert_true(rules_equal(none, none));
    rules_unref(more);
    rules_unref(none);
    rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_why_not),
        cmocka_unit_test(test_how_a_channel_is_kept),
        cmocka_unit_test(test_what_is_allowed_is_kept),
        cmocka_unit_test(test_many_rules_as_one_after_the_other),
        cmocka_unit_test(test_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
