/* ws_session.c - see ws_session.h. */
#include "server/upstream/ws_session.h"

#include "common/base/alloc.h"
#include "server/core/hub.h"
#include "server/core/session_origin.h"

enum { WAITING_COST = 256 }; /* what a message takes beside its bytes */

/* --- messages that wait ------------------------------------------------------------------------------------------- */

void ws_session_wait(struct ws_session *state, const struct session_message *message)
{
    struct str id = message->correlated.id;
    struct ws_waiting *waiting = xcalloc(1, sizeof *waiting + id.len + 1);
    waiting->binary = message->binary;
    buf_append(&waiting->bytes, message->bytes);
    str_pack(&(char *){waiting->correlation}, id);
    list_append(&state->waiting, &waiting->link);
    state->waiting_count++;
    state->waiting_bytes += waiting->bytes.len + WAITING_COST;
}

struct ws_waiting *ws_session_take_waiting(struct ws_session *state)
{
    struct list_link *link = list_take_first(&state->waiting);
    if (!link)
        return NULL;
    struct ws_waiting *waiting = CONTAINER_OF(link, struct ws_waiting, link);
    state->waiting_count--;
    state->waiting_bytes -= waiting->bytes.len + WAITING_COST;
    return waiting;
}

void ws_waiting_free(struct ws_waiting *waiting)
{
    buf_fini(&waiting->bytes);
    free(waiting);
}

void ws_session_settle(struct ws_session *state)
{
    size_t most = ws_upstream_of(state)->options.waiting_bytes;
    size_t unsent = state->state == WS_OPEN ? backend_socket_unsent(&state->socket) : 0;
    state->base.in_flight = (uint32_t)state->waiting_count + (unsent > 0);
    if (!state->base.session)
        return;
    if (state->waiting_bytes + unsent > most)
        hub_hold_input(state->hub, state->base.session, true);
    else if (state->waiting_bytes + unsent <= most / 2)
        hub_hold_input(state->hub, state->base.session, false);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void forget_connection(struct ws_session *state)
{
    turn_stop_timer(state->turn, &state->timer);
    turn_stop_timer(state->turn, &state->room);
    buf_fini(&state->request);
    buf_fini(&state->answer);
    state->scanned = state->dropped = 0;
    ws_decoder_fini(&state->decoder);
    buf_fini(&state->late);
    state->has_late = false;
}

void ws_session_shut(struct ws_session *state)
{
    forget_connection(state);
    state->state = WS_ENDED;
    backend_socket_close(&state->socket);
}

void ws_session_free(struct ws_session *state)
{
    for (struct ws_waiting *waiting; (waiting = ws_session_take_waiting(state));)
        ws_waiting_free(waiting);
    forget_connection(state);
    buf_fini(&state->close_reason);
    session_origin_unref(state->origin);
    upstream_unref(state->base.upstream);
    free(state);
}
