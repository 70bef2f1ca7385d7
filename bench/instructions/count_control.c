/* count_control.c - what a backend asks of one worker: pages of sessions and channels, one session, one user. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/instructions/audience.h"
#include "bench/instructions/measure.h"
#include "common/base/alloc.h"
#include "server/core/control.h"

enum { TIMES = 200, PAGE = 100, USERS = 20 };

static void ask(struct audience *audience, const struct control_request *request)
{
    struct control_result result = {0};
    struct control_walk walk = {0};
    while (!control_run(audience->hub, request, &walk, &result))
        continue;
    control_result_fini(&result);
}

static void count_asking(struct audience *audience, const char *path, const char *variable, size_t value,
                         const struct control_request *request)
{
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (int i = 0; i < TIMES; i++)
            ask(audience, request);
        measure_to_number(path, variable, value, TIMES);
    }
    measure_off();
}

static void count_sessions(size_t count)
{
    struct audience audience;
    audience_init(&audience, 1);
    struct session **sessions = audience_open_many(&audience, count);
    struct str middle = str_from(sessions[count / 2]->uuid, UUID_LEN);
    const struct control_request page = {.op = CONTROL_SESSIONS, .limit = PAGE, .after = middle};
    const struct control_request one = {.op = CONTROL_UNSUBSCRIBE, .session_id = middle, .channel = STR("bench:room")};
    const struct control_request info = {.op = CONTROL_INFO};
    count_asking(&audience, "page_of_100_sessions", "sessions", count, &page);
    count_asking(&audience, "change_one_session", "sessions", count, &one);
    count_asking(&audience, "count_sessions", "sessions", count, &info);
    audience_close(&audience, sessions, count);
    free(sessions);
    audience_fini(&audience);
}

/* A user with one session is disconnected, up to where the session's memory goes. */
static void count_disconnects(struct audience *audience, struct session **sessions, const size_t *order, size_t others)
{
    measure_from();
    for (size_t i = 0; i < USERS; i++) {
        struct session *session = sessions[order[i]];
        const struct control_request request = {.op = CONTROL_DISCONNECT, .user = session->claims->sub};
        ask(audience, &request);
        hub_flush(audience->hub);
        hub_gone(audience->hub, session);
        hub_flush(audience->hub);
    }
    measure_to_number("disconnect_one_user", "other_sessions", others, USERS);
}

/* Each session has a user of its own. Those to be disconnected came at random among the others. */
static void count_users(size_t others)
{
    struct audience audience;
    char user[40];
    size_t count = others + 2 * USERS;
    audience_init(&audience, 1);
    struct session **sessions = xmalloc(count * sizeof *sessions);
    size_t *order = measure_shuffled(count);
    for (size_t i = 0; i < count; i++) {
        snprintf(user, sizeof user, "user-%08zu", i);
        sessions[i] = audience_open_as(&audience, str_from_cstr(user));
        hub_flush(audience.hub);
    }
    snprintf(user, sizeof user, "user-%08zu", order[count - 1]);
    const struct control_request page = {.op = CONTROL_SESSIONS, .limit = PAGE, .user = str_from_cstr(user)};
    count_asking(&audience, "page_of_one_users_sessions", "other_sessions", others, &page);
    measure_on();
    for (size_t round = 0; round < 2; round++)
        count_disconnects(&audience, sessions, order + round * USERS, others);
    measure_off();
    for (size_t i = 2 * USERS; i < count; i++)
        audience_close(&audience, &sessions[order[i]], 1);
    free(order);
    free(sessions);
    audience_fini(&audience);
}

static void count_channels(size_t count)
{
    struct audience audience;
    audience_init(&audience, 1);
    struct session **sessions = audience_open_many(&audience, 1 + count / 100);
    for (size_t i = 0; i < count; i++) {
        char name[40];
        snprintf(name, sizeof name, "bench:channel-%08zu", i);
        audience_subscribe(&audience, sessions[i / 100], str_from_cstr(name));
        if (i % 1000 == 0)
            audience_settle(&audience);
    }
    audience_settle(&audience);
    char after[40];
    snprintf(after, sizeof after, "bench:channel-%08zu", count / 2);
    const struct control_request page = {.op = CONTROL_CHANNELS, .limit = PAGE, .after = str_from_cstr(after)};
    const struct control_request prefix = {
        .op = CONTROL_CHANNELS, .limit = PAGE, .prefix = STR("bench:channel-000001")};
    const struct control_request one = {.op = CONTROL_CHANNEL, .channel = str_from_cstr(after)};
    count_asking(&audience, "page_of_100_channels", "channels", count, &page);
    count_asking(&audience, "page_of_100_channels_by_prefix", "channels", count, &prefix);
    count_asking(&audience, "look_at_one_channel", "channels", count, &one);
    audience_close(&audience, sessions, 1 + count / 100);
    free(sessions);
    audience_fini(&audience);
}

int main(void)
{
    static const size_t counts[] = {1000, 10000, 100000};
    for (size_t i = 0; i < 3; i++)
        count_sessions(counts[i]);
    count_users(10);
    count_users(10000);
    for (size_t i = 0; i < 3; i++)
        count_channels(counts[i]);
    return 0;
}
