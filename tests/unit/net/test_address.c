/* test_address.c - addresses, ranges, and who the client behind a proxy is. */
#include <stdio.h>

#include "server/net/admission/address.h"
#include "tests/support/unit.h"

static void text_round_trips(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *text; /* NULL: not an address */
        const char *key;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", "192.0.2.1"},
        {"192.0.2.1:8080", "192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"},
        {"2001:db8::1", "2001:db8::1", "2001:db8::/64"},
        {"[2001:db8::1]", "2001:db8::1", "2001:db8::/64"},
        {"[2001:db8:0:7:1:2:3:4]:443", "2001:db8:0:7:1:2:3:4", "2001:db8:0:7::/64"},
        {"", NULL, NULL},
        {"unknown", NULL, NULL},
        {"192.0.2", NULL, NULL},
        {"192.0.2.1:", NULL, NULL},
        {"192.0.2.1:65536", NULL, NULL},
        {"192.0.2.1 ", NULL, NULL},
        {"[192.0.2.1]", NULL, NULL},
        {"[2001:db8::1", NULL, NULL},
        {"[2001:db8::1]x", NULL, NULL},
        {"2001:db8::1%eth0", NULL, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address address;
        char text[ADDRESS_TEXT_LEN + 1], key[ADDRESS_KEY_LEN + 1];
        bool good = address_parse(str_from_cstr(rows[i].in), &address);
        if (good != (rows[i].text != NULL))
            fail_msg("\"%s\"", rows[i].in);
        if (good) {
            assert_string_equal(address_text(&address, text), rows[i].text);
            assert_string_equal(address_key(&address, key), rows[i].key);
        }
    }
}

static void ranges_contain(void **state)
{
    (void)state;
    static const struct {
        const char *range;
        const char *address;
        bool expected;
    } rows[] = {
        {"10.0.0.0/8", "10.255.1.2", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.200", true},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"0.0.0.0/0", "198.51.100.1", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"::1", "::1", true},
        {"::1/128", "::2", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct cidr cidr;
        struct address address;
        assert_int_equal(cidr_parse(str_from_cstr(rows[i].range), &cidr, NULL), ERR_NONE);
        assert_true(address_parse(str_from_cstr(rows[i].address), &address));
        if (cidr_contains(&cidr, 1, &address) != rows[i].expected)
            fail_msg("%s in %s", rows[i].address, rows[i].range);
    }
}

static void bad_ranges_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "10.0.0.0/", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/8/8", "any"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct cidr cidr;
        struct error error;
        if (cidr_parse(str_from_cstr(bad[i]), &cidr, &error) != ERR_INVALID_REQUEST)
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

static void the_client_is_who_a_trusted_proxy_names(void **state)
{
    (void)state;
    static const struct {
        const char *peer;
        const char *forwarded[2];
        const char *client;
    } rows[] = {
        {"198.51.100.9", {NULL}, "198.51.100.9"},
        {"198.51.100.9", {"1.2.3.4"}, "198.51.100.9"}, /* not trusted to say so */
        {"10.0.0.1", {NULL}, "10.0.0.1"},
        {"10.0.0.1", {"1.2.3.4"}, "1.2.3.4"},
        {"10.0.0.1", {"6.6.6.6, 1.2.3.4"}, "1.2.3.4"}, /* what the client wrote himself */
        {"10.0.0.1", {"1.2.3.4, 10.0.0.2"}, "1.2.3.4"},
        {"10.0.0.1", {"1.2.3.4", "10.0.0.2"}, "1.2.3.4"}, /* two header lines are one list */
        {"10.0.0.1", {"6.6.6.6", "1.2.3.4"}, "1.2.3.4"},
        {"10.0.0.1", {"1.2.3.4:5555"}, "1.2.3.4"},
        {"10.0.0.1", {"[2001:db8::5]:1"}, "2001:db8::5"},
        {"10.0.0.1", {"1.2.3.4,, 10.0.0.2"}, "1.2.3.4"},
        {"10.0.0.1", {"1.2.3.4, unknown"}, "10.0.0.1"},
        {"10.0.0.1", {"1.2.3.4, garbage, 10.0.0.2"}, "10.0.0.2"},
        {"10.0.0.1", {"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
    };
    struct cidr trusted;
    assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &trusted, NULL), ERR_NONE);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_fields fields = {0};
        struct address peer;
        char text[ADDRESS_TEXT_LEN + 1];
        for (size_t k = 0; k < 2 && rows[i].forwarded[k]; k++)
            fields.items[fields.count++] =
                (struct http_field){STR("X-Forwarded-For"), str_from_cstr(rows[i].forwarded[k])};
        assert_true(address_parse(str_from_cstr(rows[i].peer), &peer));
        struct address client = address_of_client(&peer, &fields, &trusted, 1);
        if (strcmp(address_text(&client, text), rows[i].client) != 0)
            fail_msg("row %zu: expected %s, found %s", i, rows[i].client, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_round_trips),
        cmocka_unit_test(ranges_contain),
        cmocka_unit_test(bad_ranges_are_refused),
        cmocka_unit_test(the_client_is_who_a_trusted_proxy_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
