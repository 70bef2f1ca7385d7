/* test_session_index.c - sessions come and go at random. After each step a plain list of them says what the index must
 * find by id, by uuid and by user. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "server/core/session_index.h"
#include "tests/support/unit.h"

enum { SESSIONS_MAX = 400, USERS = 60, STEPS = 20000, WORKER = 3 };

/* The list. A session has ended when its state is another than SESSION_OPEN. */
static struct {
    struct session_index index;
    struct session *sessions[SESSIONS_MAX];
    size_t count;
    struct claims *claims[USERS];
    uint64_t wall_ms;
} model;

static uint64_t seed = 1;

static size_t draw(size_t limit)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(seed >> 33) % limit;
}

static int setup(void **state)
{
    (void)state;
    memset(&model, 0, sizeof model);
    model.wall_ms = 1768473000000;
    session_index_init(&model.index, WORKER);
    for (size_t i = 0; i < USERS; i++) {
        char payload[64];
        struct error error;
        snprintf(payload, sizeof payload, "{\"sub\":\"user-%zu\"}", i);
        assert_int_equal(claims_parse(str_from_cstr(payload), &model.claims[i], &error), ERR_NONE);
    }
    return 0;
}

static struct session *add(struct claims *claims)
{
    struct session *session = xcalloc(1, sizeof *session + 1);
    session->claims = claims_ref(claims);
    uuid_v7(model.wall_ms, session->uuid);
    session_index_add(&model.index, session);
    model.sessions[model.count++] = session;
    return session;
}

static void end(struct session *session)
{
    session_index_end(&model.index, session);
    session->state = SESSION_CLOSING;
}

static void remove_at(size_t at)
{
    struct session *session = model.sessions[at];
    if (session->state == SESSION_OPEN)
        end(session);
    session_index_remove(&model.index, session);
    assert_null(session_index_find(&model.index, session->id));
    model.sessions[at] = model.sessions[--model.count];
    claims_unref(session->claims);
    free(session);
}

static int teardown(void **state)
{
    (void)state;
    while (model.count)
        remove_at(model.count - 1);
    assert_int_equal(model.index.count, 0);
    assert_int_equal(model.index.open_count, 0);
    assert_int_equal(model.index.user_count, 0);
    session_index_fini(&model.index);
    for (size_t i = 0; i < USERS; i++)
        claims_unref(model.claims[i]);
    return 0;
}

static int compare_uuids(const void *a, const void *b)
{
    return strcmp((*(struct session *const *)a)->uuid, (*(struct session *const *)b)->uuid);
}

/* The open sessions of a user, or of all, in their order. */
static size_t expect(const struct claims *claims, struct session **out)
{
    size_t count = 0;
    for (size_t i = 0; i < model.count; i++)
        if (model.sessions[i]->state == SESSION_OPEN &&
            (!claims || str_eq(model.sessions[i]->claims->sub, claims->sub)))
            out[count++] = model.sessions[i];
    qsort(out, count, sizeof *out, compare_uuids);
    return count;
}

static void check_user(const struct claims *claims)
{
    struct session *expected[SESSIONS_MAX];
    size_t count = expect(claims, expected), seen = 0;
    const struct sorted order = session_index_of_user(&model.index, claims->sub);
    for (struct sorted_link *link = sorted_from(&order, STR("")); link; link = sorted_next(link)) {
        assert_true(seen < count);
        assert_ptr_equal(session_of_user(link), expected[seen++]);
    }
    assert_int_equal(seen, count);
    if (count == 0)
        return;
    size_t middle = draw(count);
    struct sorted_link *link = sorted_after(&order, str_from(expected[middle]->uuid, UUID_LEN));
    assert_ptr_equal(link ? session_of_user(link) : NULL, middle + 1 < count ? expected[middle + 1] : NULL);
}

static void check_all(void)
{
    struct session *expected[SESSIONS_MAX];
    size_t count = expect(NULL, expected), seen = 0, users = 0, cursor = 0;
    for (struct sorted_link *link = sorted_from(&model.index.by_uuid, STR("")); link; link = sorted_next(link))
        assert_ptr_equal(session_of_uuid(link), expected[seen++]);
    assert_int_equal(seen, count);
    assert_int_equal(model.index.open_count, count);
    for (size_t i = 0; i < USERS; i++) {
        struct session *some[SESSIONS_MAX];
        users += expect(model.claims[i], some) > 0;
        check_user(model.claims[i]);
    }
    assert_int_equal(model.index.user_count, users);
    for (size_t i = 0; i < model.count; i++) {
        struct session *session = model.sessions[i];
        assert_ptr_equal(session_index_find(&model.index, session->id), session);
        assert_ptr_equal(session_index_find_uuid(&model.index, str_from(session->uuid, UUID_LEN)),
                         session->state == SESSION_OPEN ? session : NULL);
        assert_ptr_equal(session_index_at(&model.index, session->id.slot), session);
    }
    for (seen = 0; session_index_next(&model.index, &cursor);)
        seen++;
    assert_int_equal(seen, model.count);
    assert_int_equal(model.index.count, model.count);
}

/* A new token of the same user, as after `refresh`. */
static void refresh(struct session *session)
{
    struct claims *claims;
    struct error error;
    assert_int_equal(claims_parse(session->claims->payload.raw, &claims, &error), ERR_NONE);
    claims_unref(session->claims);
    session->claims = claims;
}

/* There are few sessions at times and many at others. One user in eight has half of them. */
static void step(size_t number)
{
    bool grows = number / (STEPS / 8) % 2 == 0;
    size_t user = draw(2) ? draw(USERS / 8) : draw(USERS);
    if (draw(4) == 0)
        model.wall_ms += draw(3);
    if (draw(200) == 0)
        model.wall_ms -= 500; /* the clock is set back */
    if (model.count == 0 || (model.count < SESSIONS_MAX && draw(10) < (grows ? 6 : 4))) {
        add(model.claims[user]);
        return;
    }
    size_t at = draw(model.count);
    struct session *session = model.sessions[at];
    size_t what = draw(4);
    if (what == 0 && session->state == SESSION_OPEN)
        end(session);
    else if (what == 1)
        refresh(session);
    else
        remove_at(at);
}

static void test_like_a_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < STEPS; i++) {
        step(i);
        check_user(model.claims[draw(USERS)]);
        if (i % 50 == 0)
            check_all();
    }
    check_all();
}

/* A place is given to another session: the id of the one before finds nobody. */
static void test_an_old_id_names_nobody(void **state)
{
    (void)state;
    struct session_id old = add(model.claims[0])->id;
    remove_at(0);
    struct session *session = add(model.claims[0]);
    assert_int_equal(session->id.slot, old.slot);
    assert_null(session_index_find(&model.index, old));
    assert_ptr_equal(session_index_find(&model.index, session->id), session);
    struct session_id elsewhere = session->id;
    elsewhere.worker = WORKER + 1;
    assert_null(session_index_find(&model.index, elsewhere));
    assert_null(session_index_find(&model.index, (struct session_id){.worker = WORKER}));
}

/* The walk through a user's sessions goes on while they end. */
static void test_a_walk_that_ends_them(void **state)
{
    enum { MINE = 100 };
    size_t ended = 0;
    (void)state;
    for (size_t i = 0; i < 2 * MINE; i++)
        add(model.claims[i % 2]);
    const struct sorted order = session_index_of_user(&model.index, STR("user-1"));
    for (struct sorted_link *link = sorted_from(&order, STR("")); link; ended++) {
        struct session *session = session_of_user(link);
        link = sorted_next(link);
        end(session);
    }
    assert_int_equal(ended, MINE);
    check_all();
}

static void test_nobody(void **state)
{
    (void)state;
    const struct sorted order = session_index_of_user(&model.index, STR("user-1"));
    assert_null(sorted_from(&order, STR("")));
    assert_null(session_index_find_uuid(&model.index, STR("")));
    assert_null(session_index_at(&model.index, 0));
}

static void test_renamed_ones_are_counted(void **state)
{
    struct claims *claims;
    (void)state;
    add(model.claims[0]);
    assert_int_equal(claims_change(model.claims[1], json_value_of(STR("{\"role\":\"x\"}")), &claims, NULL), ERR_NONE);
    add(claims);
    claims_unref(claims);
    assert_int_equal(model.index.renamed_count, 0);
    assert_int_equal(claims_change(model.claims[1], json_value_of(STR("{\"sub\":\"zoe\"}")), &claims, NULL), ERR_NONE);
    struct session *session = add(claims);
    claims_unref(claims);
    assert_int_equal(model.index.renamed_count, 1);
    end(session);
    assert_int_equal(model.index.renamed_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_like_a_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_old_id_names_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_walk_that_ends_them, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_renamed_ones_are_counted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
