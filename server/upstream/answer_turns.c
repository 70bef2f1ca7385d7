/* answer_turns.c - see answer_turns.h. */
#include "server/upstream/answer_turns.h"

#include "server/core/hub.h"

enum {
    CLIENT_UNSENT = 16384, /* while the client has more to read than this, it gets no more of an answer */
    ROOM_PAUSE_US = 10000, /* until the client's outbox is looked at again */
};

void answer_turns_begin(struct answer_turns *turns, struct hub *hub, struct session *session)
{
    turns->hub = hub;
    turns->session = session;
    list_init(&turns->waiting);
}

static bool has_room(const struct answer_turns *turns, size_t bytes)
{
    return hub_make_room(turns->hub, turns->session, CLIENT_UNSENT, bytes);
}

/* The first one has room for what it gives next, so each step gives something, and the loop ends. */
static void give_turns(struct timer *timer, uint64_t now_us)
{
    struct answer_turns *turns = CONTAINER_OF(timer, struct answer_turns, timer);
    while (!list_is_empty(&turns->waiting)) {
        struct backend_call *call = CONTAINER_OF(turns->waiting.next, struct backend_call, turn);
        if (!has_room(turns, backend_call_held(call)))
            break;
        list_remove(&call->turn);
        turns->now = call;
        backend_call_go_on(call);
        turns->now = NULL;
    }
    if (!list_is_empty(&turns->waiting))
        wheel_start(hub_wheel(turns->hub), timer, now_us + ROOM_PAUSE_US, give_turns);
}

bool answer_turns_ask(struct answer_turns *turns, struct backend_call *call, size_t bytes)
{
    bool is_its_turn = turns->now == call || list_is_empty(&turns->waiting);
    if (is_its_turn && has_room(turns, bytes))
        return true;
    list_append(&turns->waiting, &call->turn);
    if (!timer_is_running(&turns->timer))
        wheel_start(hub_wheel(turns->hub), &turns->timer, hub_now_us(turns->hub) + ROOM_PAUSE_US, give_turns);
    return false;
}

void answer_turns_end(struct answer_turns *turns)
{
    wheel_stop(hub_wheel(turns->hub), &turns->timer);
}
