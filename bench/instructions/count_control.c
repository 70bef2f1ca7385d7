/* count_control.c - what a backend asks of one worker: pages of sessions and channels, one session, and a part of a
 * walk through all of them. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/instructions/crowd.h"
#include "bench/instructions/measure.h"
#include "common/base/alloc.h"
#include "server/core/control.h"

enum { TIMES = 200, PAGE = 100 };

/* One part: must_end says whether it is to be all. */
static void ask(struct crowd *crowd, const struct control_request *request, bool must_end)
{
    struct control_result result = {0};
    struct control_walk walk = {0};
    if (control_run(crowd->hub, request, &walk, &result) != must_end) {
        fprintf(stderr, "a walk has other parts than expected\n");
        abort();
    }
    control_result_fini(&result);
}

static void count_asking(struct crowd *crowd, const char *path, const char *variable, size_t value,
                         const struct control_request *request, bool must_end)
{
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (int i = 0; i < TIMES; i++)
            ask(crowd, request, must_end);
        measure_to_number(path, variable, value, TIMES);
    }
    measure_off();
}

static void count_sessions(size_t count)
{
    struct crowd crowd;
    crowd_init(&crowd, 1);
    struct session **sessions = crowd_open_many(&crowd, count);
    struct str middle = str_from(sessions[count / 2]->uuid, UUID_LEN);
    const struct control_request page = {.op = CONTROL_SESSIONS, .limit = PAGE, .after = middle};
    const struct control_request one = {.op = CONTROL_UNSUBSCRIBE, .session_id = middle, .channel = STR("bench:room")};
    const struct control_request nobody = {.op = CONTROL_DISCONNECT, .user = STR("nobody")};
    const struct control_request info = {.op = CONTROL_INFO};
    count_asking(&crowd, "page_of_100_sessions", "sessions", count, &page, true);
    count_asking(&crowd, "change_one_session", "sessions", count, &one, true);
    count_asking(&crowd, "change_by_user_part", "sessions", count, &nobody, false);
    count_asking(&crowd, "count_sessions", "sessions", count, &info, true);
    crowd_close(&crowd, sessions, count);
    free(sessions);
    crowd_fini(&crowd);
}

static void count_channels(size_t count)
{
    struct crowd crowd;
    crowd_init(&crowd, 1);
    struct session **sessions = crowd_open_many(&crowd, 1 + count / 100);
    for (size_t i = 0; i < count; i++) {
        char name[40];
        snprintf(name, sizeof name, "bench:channel-%08zu", i);
        crowd_subscribe(&crowd, sessions[i / 100], str_from_cstr(name));
        if (i % 1000 == 0)
            crowd_settle(&crowd);
    }
    crowd_settle(&crowd);
    char after[40];
    snprintf(after, sizeof after, "bench:channel-%08zu", count / 2);
    const struct control_request page = {.op = CONTROL_CHANNELS, .limit = PAGE, .after = str_from_cstr(after)};
    const struct control_request prefix = {
        .op = CONTROL_CHANNELS, .limit = PAGE, .prefix = STR("bench:channel-000001")};
    const struct control_request one = {.op = CONTROL_CHANNEL, .channel = str_from_cstr(after)};
    count_asking(&crowd, "page_of_100_channels", "channels", count, &page, true);
    count_asking(&crowd, "page_of_100_channels_by_prefix", "channels", count, &prefix, true);
    count_asking(&crowd, "look_at_one_channel", "channels", count, &one, true);
    crowd_close(&crowd, sessions, 1 + count / 100);
    free(sessions);
    crowd_fini(&crowd);
}

int main(void)
{
    static const size_t counts[] = {1000, 10000, 100000};
    for (size_t i = 0; i < 3; i++)
        count_sessions(counts[i]);
    for (size_t i = 0; i < 3; i++)
        count_channels(counts[i]);
    return 0;
}
