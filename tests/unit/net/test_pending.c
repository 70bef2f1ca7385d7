/* test_pending.c - places of connections that are no sessions. The oldest goes, of the newcomer's own address first. */
#include "server/net/http/pending.h"
#include "tests/support/unit.h"

struct guest {
    struct pending_place place;
    struct pending *pending;
    bool evicted;
    bool comes_again; /* it has asked for something: it is answered in another place */
    struct pending_place second;
};

static void evict_for_good(struct pending_place *place)
{
    (void)place;
    fail_msg("the second place is the newest");
}

static void evict(struct pending_place *place)
{
    struct guest *guest = CONTAINER_OF(place, struct guest, place);
    struct address address;
    guest->evicted = true;
    pending_leave(guest->pending, place);
    if (!guest->comes_again)
        return;
    assert_true(address_parse(STR("192.0.2.200"), &address));
    guest->second.evict = evict_for_good;
    pending_enter(guest->pending, &guest->second, &address);
}

static struct address at(const char *text)
{
    struct address address;
    assert_true(address_parse(str_from_cstr(text), &address));
    return address;
}

static void come(struct pending *pending, struct guest *guest, const char *from)
{
    struct address address = at(from);
    guest->pending = pending;
    guest->place.evict = evict;
    pending_enter(pending, &guest->place, &address);
    pending_make_room(pending, &guest->place);
}

static void leave_all(struct pending *pending, struct guest *guests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pending_leave(pending, &guests[i].place);
        pending_leave(pending, &guests[i].second);
    }
}

static void test_the_oldest_goes(void **state)
{
    struct pending pending;
    struct guest guests[6] = {0};
    (void)state;
    pending_init(&pending, 3);
    for (size_t i = 0; i < COUNT_OF(guests); i++)
        come(&pending, &guests[i], "192.0.2.1");
    for (size_t i = 0; i < COUNT_OF(guests); i++)
        assert_int_equal(guests[i].evicted, i < 3);
    assert_int_equal(pending.count, 3);
    leave_all(&pending, guests, COUNT_OF(guests));
    pending_fini(&pending);
}

static void test_an_address_is_in_its_own_way(void **state)
{
    struct pending pending;
    struct guest good[2] = {0}, crowd[20] = {0};
    (void)state;
    pending_init(&pending, 4);
    come(&pending, &good[0], "192.0.2.1");
    for (size_t i = 0; i < COUNT_OF(crowd); i++)
        come(&pending, &crowd[i], i % 2 ? "2001:db8::1" : "2001:db8::2:0:0:1"); /* one /64 */
    assert_false(good[0].evicted);
    come(&pending, &good[1], "192.0.2.2"); /* the oldest of all is the other good one */
    assert_true(good[0].evicted);
    assert_false(good[1].evicted);
    leave_all(&pending, good, 2);
    leave_all(&pending, crowd, COUNT_OF(crowd));
    pending_fini(&pending);
}

static void test_who_has_asked_is_answered(void **state)
{
    struct pending pending;
    struct guest guests[12] = {0};
    (void)state;
    pending_init(&pending, 11);
    for (size_t i = 0; i < COUNT_OF(guests); i++) {
        guests[i].comes_again = i < 3;
        come(&pending, &guests[i], "192.0.2.1");
    }
    for (size_t i = 0; i < COUNT_OF(guests); i++)
        assert_int_equal(guests[i].evicted, i <= 3);
    assert_int_equal(pending.count, 11);
    leave_all(&pending, guests, COUNT_OF(guests));
    pending_fini(&pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_oldest_goes),
        cmocka_unit_test(test_an_address_is_in_its_own_way),
        cmocka_unit_test(test_who_has_asked_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
