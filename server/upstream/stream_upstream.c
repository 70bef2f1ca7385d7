/* stream_upstream.c - see stream_upstream.h. */
#include "server/upstream/stream_upstream.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "server/core/hub.h"
#include "server/core/session.h"
#include "server/core/session_origin.h"
#include "server/upstream/upstream_log.h"

enum { RETRY_US = 100000 };

struct stream_upstream {
    struct upstream base;
    struct stream_upstream_options options;
    char texts[];
};

struct stream_session {
    struct upstream_session base;
    struct hub *hub;
    struct list_link waiting; /* struct stream_message, oldest first; the first one may be under way */
    size_t bytes;             /* of all of them */
    bool busy;                /* the first one is under way */
    struct timer retry;
    char uuid[UUID_LEN + 1];
    struct str user; /* the texts lie in texts */
    struct str endpoint;
    char texts[];
};

/* Owns its request until the node has it. The node gives it back. */
struct stream_message {
    struct list_link link;
    struct stream_append *append;
    uint64_t came_us;
    char correlation[]; /* JSON, as the client wrote it; "": none */
};

static const struct stream_upstream_options *options_of(const struct stream_session *state)
{
    return &CONTAINER_OF(state->base.upstream, struct stream_upstream, base)->options;
}

static struct stream_message *first(struct stream_session *state)
{
    return CONTAINER_OF(state->waiting.next, struct stream_message, link);
}

static void send_first(struct stream_session *state);

/* ---- messages ---- */

static void hold_client(struct stream_session *state)
{
    size_t most = options_of(state)->waiting_bytes;
    if (!state->base.session)
        return;
    if (state->bytes > most)
        hub_hold_input(state->hub, state->base.session, true);
    else if (state->bytes <= most / 2)
        hub_hold_input(state->hub, state->base.session, false);
}

static void drop_first(struct stream_session *state)
{
    struct stream_message *message = CONTAINER_OF(list_take_first(&state->waiting), struct stream_message, link);
    state->bytes -= message->append->cost;
    state->base.in_flight--;
    request_destroy(&message->append->base);
    free(message);
}

/* The hub lives until the next try, which may be of a session that has long ended. */
static void stop_retry(struct stream_session *state)
{
    if (timer_is_running(&state->retry))
        hub_count_link(state->hub, -1);
    wheel_stop(hub_wheel(state->hub), &state->retry);
}

static void free_if_done(struct stream_session *state)
{
    if (state->base.session || !list_is_empty(&state->waiting))
        return;
    stop_retry(state);
    upstream_unref(state->base.upstream);
    free(state);
}

/* The session has ended, and nobody can be told. */
static void drop_all(struct stream_session *state, const char *why)
{
    size_t count = 0;
    for (; !list_is_empty(&state->waiting); count++)
        drop_first(state);
    upstream_warn(state->base.upstream, hub_now_us(state->hub),
                  "%zu messages of session %s, which has ended, are dropped: %s", count, state->uuid, why);
}

static void fail_first(struct stream_session *state, const char *why)
{
    struct session *session = state->base.session;
    upstream_warn(state->base.upstream, hub_now_us(state->hub), "message %.*s of session %s failed: %s",
                  STR_ARG(first(state)->append->texts[7]), state->uuid, why);
    hub_fail(state->hub, session, str_from_cstr(first(state)->correlation), ERR_UNAVAILABLE,
             STR("the message could not be stored; try again later"));
    drop_first(state);
    if (options_of(state)->close_on_failure)
        session_end(session, REASON_SERVER_ERROR);
}

static bool is_late(const struct stream_session *state, const struct stream_message *message)
{
    return hub_now_us(state->hub) - message->came_us >= options_of(state)->timeout_us;
}

static void on_retry(struct timer *timer, uint64_t now_us)
{
    struct stream_session *state = CONTAINER_OF(timer, struct stream_session, retry);
    (void)now_us;
    hub_count_link(state->hub, -1);
    send_first(state);
}

/* Redis has not taken the first message. */
static void try_again(struct stream_session *state, const char *why)
{
    if (!state->base.session && (hub_is_draining(state->hub) || is_late(state, first(state)))) {
        drop_all(state, why);
        return;
    }
    while (state->base.session && !list_is_empty(&state->waiting) && is_late(state, first(state)))
        fail_first(state, why);
    if (list_is_empty(&state->waiting))
        return;
    hub_count_link(state->hub, 1);
    wheel_start(hub_wheel(state->hub), &state->retry, hub_now_us(state->hub) + RETRY_US, on_retry);
}

static void on_answer(struct request *request, void *hub)
{
    struct stream_session *state = request->waiter;
    char why[sizeof request->error->text] = "";
    (void)hub;
    state->busy = false;
    if (request->error) {
        snprintf(why, sizeof why, "%s", request->error->text);
        free(request->error);
        request->error = NULL;
        try_again(state, why);
    } else {
        drop_first(state);
        send_first(state);
    }
    hold_client(state);
    free_if_done(state);
}

static void send_first(struct stream_session *state)
{
    if (state->busy || list_is_empty(&state->waiting) || timer_is_running(&state->retry))
        return;
    struct request *request = &first(state)->append->base;
    state->busy = true;
    request->done = on_answer;
    request->waiter = state;
    hub_ask(state->hub, request);
}

/* ---- struct upstream_ops ---- */

static struct upstream_session *opened(struct upstream *upstream, struct hub *hub, struct session *session,
                                       struct session_origin *origin)
{
    struct str endpoint = origin ? origin->endpoint : STR("");
    struct stream_session *state = xcalloc(1, sizeof *state + session->claims->sub.len + endpoint.len);
    char *at = state->texts;
    upstream_session_begin(&state->base, upstream, session);
    state->hub = hub;
    list_init(&state->waiting);
    memcpy(state->uuid, session->uuid, sizeof state->uuid);
    state->user = str_pack(&at, session->claims->sub);
    state->endpoint = str_pack(&at, endpoint);
    return &state->base;
}

static enum err take(struct upstream_session *base, const struct session_message *message, struct error *error)
{
    struct stream_session *state = CONTAINER_OF(base, struct stream_session, base);
    const struct stream_upstream_options *options = options_of(state);
    char time[CLOCK_RFC3339_LEN + 1], n[24];
    (void)error;
    clock_format(hub_wall_ms(state->hub), time);
    int n_len = snprintf(n, sizeof n, "%llu", (unsigned long long)message->sequence);
    const struct str texts[] = {STR("session"),  str_from(state->uuid, UUID_LEN),
                                STR("user"),     state->user,
                                STR("endpoint"), state->endpoint,
                                STR("n"),        str_from(n, (size_t)n_len),
                                STR("kind"),     message->binary ? STR("binary") : STR("text"),
                                STR("data"),     message->bytes,
                                STR("time"),     str_from(time, CLOCK_RFC3339_LEN)};
    struct str id = message->correlated.id;
    struct stream_message *waiting = xcalloc(1, sizeof *waiting + id.len + 1);
    str_pack(&(char *){waiting->correlation}, id);
    waiting->came_us = hub_now_us(state->hub);
    waiting->append = stream_append_create(options->stream, options->max_len, sizeof texts / sizeof *texts, texts);
    list_append(&state->waiting, &waiting->link);
    state->bytes += waiting->append->cost;
    state->base.in_flight++;
    send_first(state);
    hold_client(state);
    return ERR_NONE;
}

/* What waits still goes to Redis. A hub that drains ends soon, and does not wait for the next try. */
static void ended(struct upstream_session *base, int code, struct str reason)
{
    struct stream_session *state = CONTAINER_OF(base, struct stream_session, base);
    (void)reason;
    (void)code;
    if (hub_is_draining(state->hub) && timer_is_running(&state->retry))
        drop_all(state, "the server is stopping, and Redis does not take them");
    free_if_done(state);
}

static void destroy(struct upstream *upstream)
{
    free(CONTAINER_OF(upstream, struct stream_upstream, base));
}

static const struct upstream_ops ops = {.opened = opened, .take = take, .ended = ended, .destroy = destroy};

struct upstream *stream_upstream_create(const struct stream_upstream_options *options)
{
    struct stream_upstream *upstream = xcalloc(1, sizeof *upstream + options->name.len + options->stream.len);
    char *at = upstream->texts;
    upstream->options = *options;
    upstream->options.name = str_pack(&at, options->name);
    upstream->options.stream = str_pack(&at, options->stream);
    upstream_init(&upstream->base, &ops, upstream->options.name);
    return &upstream->base;
}
