/* fake_upstream.c - see fake_upstream.h. */
#include "tests/unit/core/fake_upstream.h"

#include "common/base/alloc.h"
#include "tests/support/unit.h"

static struct fake_upstream *fake_of(struct upstream *upstream)
{
    return CONTAINER_OF(upstream, struct fake_upstream, base);
}

static struct upstream_session *on_opened(struct upstream *upstream, struct hub *hub, struct session *session,
                                          struct session_origin *origin)
{
    struct fake_upstream *fake = fake_of(upstream);
    struct upstream_session *state = xcalloc(1, sizeof *state);
    upstream_session_begin(state, upstream, session);
    fake->hub = hub;
    fake->last = state;
    buf_appendf(&fake->log, "open%s\n", origin ? " with origin" : "");
    return state;
}

static enum err on_take(struct upstream_session *state, const struct session_message *message, struct error *error)
{
    struct fake_upstream *fake = fake_of(state->upstream);
    buf_appendf(&fake->log, "take %llu %s %.*s\n", (unsigned long long)message->sequence,
                message->binary ? "binary" : "text", STR_ARG(message->bytes));
    switch (fake->answer) {
    case FAKE_ECHO: assert_true(hub_send(fake->hub, state->session, message->binary, message->bytes)); break;
    case FAKE_LATER:
        state->in_flight++;
        fake->of = state->session->id;
        buf_append(&fake->later, message->bytes);
        break;
    case FAKE_HOLD: hub_hold_input(fake->hub, state->session, true); break;
    case FAKE_REFUSE: return error_set(error, ERR_UNAVAILABLE, "the upstream is away");
    case FAKE_END: session_end_with(state->session, 4001, STR("enough")); break;
    }
    return ERR_NONE;
}

static void on_ended(struct upstream_session *state, int code, struct str reason)
{
    struct fake_upstream *fake = fake_of(state->upstream);
    assert_null(state->session);
    buf_appendf(&fake->log, "end %d %.*s\n", code, STR_ARG(reason));
    fake->last = NULL;
    free(state);
    upstream_unref(&fake->base);
}

static void on_destroy(struct upstream *upstream)
{
    fake_of(upstream)->destroyed++;
}

static const struct upstream_ops fake_ops = {
    .opened = on_opened, .take = on_take, .ended = on_ended, .destroy = on_destroy};

void fake_upstream_init(struct fake_upstream *fake)
{
    *fake = (struct fake_upstream){0};
    upstream_init(&fake->base, &fake_ops, STR("fake"));
}

void fake_upstream_fini(struct fake_upstream *fake)
{
    assert_int_equal(fake->destroyed, 1);
    buf_fini(&fake->log);
    buf_fini(&fake->later);
}

void fake_answer_all(struct fake_upstream *fake)
{
    struct session *session = session_index_find(hub_sessions(fake->hub), fake->of);
    if (session) {
        session->upstream->in_flight = 0;
        hub_send(fake->hub, session, false, buf_str(&fake->later));
    }
    buf_clear(&fake->later);
}
