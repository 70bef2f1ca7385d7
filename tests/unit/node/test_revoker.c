/* test_revoker.c - revocations that Redis has lost go back to it, also when that is refused at first. */
#include <stdio.h>
#include <stdlib.h>

#include "server/node/revoker.h"
#include "tests/support/unit.h"
#include "tests/unit/core/hub_fixture.h"
#include "tests/unit/node/router_rig.h"

static const struct revocation revocation = {.kind = REVOCATION_JTI, .value = {"one", 3}, .until_ms = UINT64_MAX};

static struct rig_with_revoker {
    struct router_rig rig;
    struct revocations *revocations;
    struct revoker *revoker;
    enum err answer;
    unsigned asked;
} f;

static void on_ask(struct broker *broker, struct request *request)
{
    struct revoke_request *revoke = CONTAINER_OF(request, struct revoke_request, base);
    assert_int_equal(request->kind, REQUEST_REVOKE);
    assert_true(str_eq(revoke->revocation.value, revocation.value));
    f.asked++;
    if (f.answer)
        request_fail(request, f.answer, "no");
    else /* as a broker does */
        revoker_hear(f.revoker, &revoke->revocation);
    broker_answer(broker, request);
}

static int setup(void **state)
{
    static const struct broker_ops ops = {.ask = on_ask};
    (void)state;
    memset(&f, 0, sizeof f);
    router_rig_setup(&f.rig, &ops);
    f.revocations = revocations_create();
    f.revoker = revoker_create(&f.rig.router, f.revocations);
    router_state(&f.rig.router, &(struct broker_info){.state = BROKER_UP});
    revoker_hear(f.revoker, &revocation);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    router_rig_close(&f.rig);
    revoker_destroy(f.revoker);
    revocations_destroy(f.revocations);
    router_rig_teardown(&f.rig);
    return 0;
}

/* Redis has come up, with none of them or with all. */
static void read_all(bool has_it)
{
    revoker_hear_all(f.revoker, true);
    if (has_it)
        revoker_hear(f.revoker, &revocation);
    revoker_hear_all(f.revoker, false);
    uv_run(&f.rig.loop, UV_RUN_NOWAIT);
}

static void tick(uint64_t now_us)
{
    revoker_tick(f.revoker, now_us);
    uv_run(&f.rig.loop, UV_RUN_NOWAIT);
}

static void test_only_what_is_lost(void **state)
{
    (void)state;
    read_all(true);
    assert_int_equal(f.asked, 0);
    read_all(false);
    assert_int_equal(f.asked, 1);
    tick(1000000);
    tick(60000000);
    assert_int_equal(f.asked, 1);
}

/* Redis is full, say. */
static void test_refused_at_first(void **state)
{
    (void)state;
    f.answer = ERR_UNAVAILABLE;
    read_all(false);
    tick(1000000);
    assert_int_equal(f.asked, 2);
    tick(1100000);
    assert_int_equal(f.asked, 2); /* not ten times a second */
    f.answer = ERR_NONE;
    tick(7000000);
    assert_int_equal(f.asked, 3);
    tick(60000000);
    assert_int_equal(f.asked, 3);
}

static void test_not_while_it_is_down(void **state)
{
    (void)state;
    f.answer = ERR_UNAVAILABLE;
    read_all(false);
    router_state(&f.rig.router, &(struct broker_info){.state = BROKER_DOWN});
    tick(1000000);
    assert_int_equal(f.asked, 1);
}

/* ---- sessions of a worker ---- */

enum { SESSIONS = 4000, OF_ANN = 450 };

static struct worker {
    struct fixture hub;
    struct wire wires[SESSIONS];
} worker;

/* Of ann, and the others of a user each. Each token has a jti of its own. */
static int setup_sessions(void **state)
{
    char payload[64], user[24] = "ann";
    setup(state);
    fixture_setup(&worker.hub);
    router_add_worker(&f.rig.router, &worker.hub.replies);
    for (int i = 0; i < SESSIONS; i++) {
        if (i >= OF_ANN)
            snprintf(user, sizeof user, "user-%d", i);
        snprintf(payload, sizeof payload, "{\"sub\":\"%s\",\"jti\":\"jti-%d\",\"iat\":%d}", user, i, i + 1);
        open_session(&worker.hub, &worker.wires[i], payload);
    }
    return 0;
}

static int teardown_sessions(void **state)
{
    for (int i = 0; i < SESSIONS; i++)
        close_session(&worker.hub, &worker.wires[i]);
    fixture_teardown(&worker.hub);
    return teardown(state);
}

static bool is_open(int session)
{
    return worker.wires[session].session->state == SESSION_OPEN;
}

static size_t count_open(void)
{
    return hub_sessions(worker.hub.hub)->open_count;
}

static void hear(enum revocation_kind kind, const char *value, uint64_t issued_before_ms)
{
    const struct revocation revoked = {
        .kind = kind, .value = str_from_cstr(value), .issued_before_ms = issued_before_ms, .until_ms = UINT64_MAX};
    revoker_hear(f.revoker, &revoked);
}

/* A worker with many sessions looks at a part of them in a turn. A revocation that comes meanwhile begins the walk
 * again. */
static void test_a_walk_takes_several_turns(void **state)
{
    unsigned turns = 0;
    (void)state;
    hear(REVOCATION_JTI, "jti-3999", 0);
    uv_run(&worker.hub.loop, UV_RUN_NOWAIT);
    assert_true(is_open(SESSIONS - 1));
    hear(REVOCATION_JTI, "jti-0", 0);
    while (is_open(0) || is_open(SESSIONS - 1)) {
        uv_run(&worker.hub.loop, UV_RUN_NOWAIT);
        assert_true(turns++ < 10);
    }
    assert_int_equal(count_open(), SESSIONS - 2);
}

/* Those of one user are found at once, wherever they are. */
static void test_a_user_needs_no_walk(void **state)
{
    (void)state;
    hear(REVOCATION_USER, "user-3999", 0);
    hear(REVOCATION_USER, "user-2000", 1000); /* the token came later */
    hear(REVOCATION_USER, "nobody", 0);
    uv_run(&worker.hub.loop, UV_RUN_NOWAIT);
    assert_false(is_open(SESSIONS - 1));
    assert_int_equal(count_open(), SESSIONS - 1);
}

/* Some of them end, and some close meanwhile: all that are covered end. */
static void test_a_user_with_many_sessions(void **state)
{
    unsigned turns = 0;
    (void)state;
    hear(REVOCATION_USER, "ann", (OF_ANN - 100 + 1) * UINT64_C(1000));
    while (is_open(OF_ANN - 101)) {
        uv_run(&worker.hub.loop, UV_RUN_NOWAIT);
        for (int i = 0; i < SESSIONS; i += 7)
            session_end(worker.wires[i].session, REASON_DISCONNECTED);
        assert_true(turns++ < 10);
    }
    for (int i = 0; i < SESSIONS; i++)
        assert_int_equal(is_open(i), i % 7 != 0 && i >= OF_ANN - 100);
}

/* So many at once that one walk through all sessions takes the place of most. */
static void test_very_many_users(void **state)
{
    char user[24];
    unsigned turns = 0;
    (void)state;
    for (int i = OF_ANN; i < SESSIONS; i++) {
        snprintf(user, sizeof user, "user-%d", i);
        hear(REVOCATION_USER, user, 0);
    }
    while (count_open() > OF_ANN) {
        uv_run(&worker.hub.loop, UV_RUN_NOWAIT);
        assert_true(turns++ < 20);
    }
    assert_int_equal(count_open(), OF_ANN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_what_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_at_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_while_it_is_down, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_walk_takes_several_turns, setup_sessions, teardown_sessions),
        cmocka_unit_test_setup_teardown(test_a_user_needs_no_walk, setup_sessions, teardown_sessions),
        cmocka_unit_test_setup_teardown(test_a_user_with_many_sessions, setup_sessions, teardown_sessions),
        cmocka_unit_test_setup_teardown(test_very_many_users, setup_sessions, teardown_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
