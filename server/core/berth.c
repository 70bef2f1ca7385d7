/* berth.c - sessions whose token limits how many its user has at once, on all nodes (the claim session_limit). Such a
 * session takes a berth at the broker before it begins, keeps it while it lives and gives it back at its end; what the
 * client sends before it is held. Where the broker cannot be asked, the session begins all the same: this node's own
 * count has admitted it, and the berth is kept from the time the broker is back. Other sessions cost nothing here. */
#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/random.h"
#include "server/core/hub_private.h"

/* What a client may send before session_init: messages end with a NUL, which none has inside. */
enum { HELD_MAX = 65536 };

struct berth {
    bool awaited;
    struct buf held;
    struct timer renewal;
    struct session *session;
};

static void renew(struct timer *timer, uint64_t now_us);

static void send(struct hub *hub, struct session *session, enum berth_action action,
                 void (*done)(struct broker_request *, void *))
{
    struct berth_request *request =
        berth_request_create(action, session->claims->sub, str_from(session->uuid, UUID_LEN));
    request->limit = session->claims->session_limit;
    request->ttl_ms = hub->settings.berth_ttl_ms;
    request->session_id = session->id;
    request->base.reply_to = hub->replies;
    request->base.done = done;
    hub->ops->ask(hub->owner, &request->base);
}

static void done_with(struct broker_request *request, void *owner)
{
    (void)owner;
    free(CONTAINER_OF(request, struct berth_request, base)); /* refused: the next renewal tries again */
}

static void start_renewal(struct hub *hub, struct berth *berth)
{
    uint64_t third_us = hub->settings.berth_ttl_ms * 1000 / 3;
    wheel_start(&hub->wheel, &berth->renewal, hub->now_us + third_us, renew);
}

static void renew(struct timer *timer, uint64_t now_us)
{
    struct berth *berth = CONTAINER_OF(timer, struct berth, renewal);
    struct hub *hub = berth->session->hub;
    (void)now_us;
    send(hub, berth->session, BERTH_KEEP, done_with);
    start_renewal(hub, berth);
}

static void receive_held(struct hub *hub, struct session *session, struct buf *held)
{
    for (size_t at = 0; at < held->len;) {
        struct str text = str_from_cstr(held->ptr + at);
        hub_receive(hub, session, text);
        at += text.len + 1;
    }
    buf_fini(held);
}

static void answered(struct broker_request *base, void *owner)
{
    struct hub *hub = owner;
    struct berth_request *request = CONTAINER_OF(base, struct berth_request, base);
    struct session *session = hub_find(hub, request->session_id);
    bool granted = request->granted || base->error.code;
    free(request);
    if (!session || session->state != SESSION_OPEN)
        return; /* gone meanwhile; BERTH_LEAVE has followed */
    struct berth *berth = session->berth;
    struct buf held = berth->held;
    berth->awaited = false;
    berth->held = (struct buf){0};
    if (!granted) {
        buf_fini(&held);
        hub_close(hub, session, REASON_CONNECTION_LIMIT);
        return;
    }
    start_renewal(hub, berth);
    hub_admit(hub, session);
    receive_held(hub, session, &held);
}

bool berth_take(struct hub *hub, struct session *session)
{
    if (!session->claims->session_limit || !hub->settings.berth_ttl_ms)
        return false;
    session->berth = xcalloc(1, sizeof *session->berth);
    session->berth->session = session;
    session->berth->awaited = true;
    send(hub, session, BERTH_TAKE, answered);
    return true;
}

void berth_follow(struct hub *hub, struct session *session, const struct hub_settings *before)
{
    struct berth *berth = session->berth;
    if (!berth || berth->awaited || hub->settings.berth_ttl_ms == before->berth_ttl_ms)
        return;
    uint64_t third_us = hub->settings.berth_ttl_ms * 1000 / 3; /* not all of them at once */
    wheel_start(&hub->wheel, &berth->renewal, hub->now_us + (third_us ? random_below(third_us) : 0), renew);
}

bool berth_is_awaited(const struct session *session)
{
    return session->berth && session->berth->awaited;
}

bool berth_hold(struct hub *hub, struct session *session, struct str text)
{
    struct buf *held = &session->berth->held;
    if (!session->berth->awaited)
        return false;
    if (text.len >= HELD_MAX - held->len || memchr(text.ptr, '\0', text.len)) {
        hub_close(hub, session, REASON_BAD_MESSAGES);
        return true;
    }
    buf_append(held, text);
    buf_append_char(held, '\0');
    return true;
}

void berth_leave(struct hub *hub, struct session *session)
{
    struct berth *berth = session->berth;
    if (!berth)
        return;
    send(hub, session, BERTH_LEAVE, done_with);
    wheel_stop(&hub->wheel, &berth->renewal);
    buf_fini(&berth->held);
    free(berth);
    session->berth = NULL;
}
