/* session_slot.c - sessions whose token limits how many its user has at once, on all nodes (the claim session_limit):
 * 1. The session asks the broker for a session slot before it begins. What the client sends meanwhile is held.
 * 2. The session keeps the slot while it lives, and gives it back at its end.
 * 3. If the broker cannot be asked, the session begins all the same: this node's own count has admitted it.
 * 4. Such a session keeps its slot from the time when the broker is back.
 * Other sessions cost nothing here. */
#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/random.h"
#include "server/core/hub_private.h"

/* What a client may send before session_init: messages end with a NUL, which none has inside. */
enum { HELD_MAX = 65536 };

struct session_slot {
    bool awaited;
    struct str *subscriptions; /* that it will have from the beginning; each is owned */
    size_t subscription_count;
    struct buf held;
    struct timer renewal;
    struct session *session;
    const struct session_slot_events *events;
};

static void renew(struct timer *timer, uint64_t now_us);

static void send(struct session *session, enum session_slot_action action,
                 void (*answer)(struct session *session, struct request *request))
{
    struct session_slot_request *request =
        session_slot_request_create(action, session->claims->sub, str_from(session->uuid, UUID_LEN));
    request->limit = session->claims->session_limit;
    request->ttl_ms = session->hub->settings.session_slot_ttl_ms;
    session_ask(session, &request->base, answer);
}

static void start_renewal(struct hub *hub, struct session_slot *slot)
{
    uint64_t third_us = hub->settings.session_slot_ttl_ms * 1000 / 3;
    wheel_start(&hub->wheel, &slot->renewal, hub->now_us + third_us, renew);
}

static void renew(struct timer *timer, uint64_t now_us)
{
    struct session_slot *slot = CONTAINER_OF(timer, struct session_slot, renewal);
    struct hub *hub = slot->session->hub;
    (void)now_us;
    send(slot->session, SESSION_SLOT_KEEP, NULL); /* refused: the next renewal tries again */
    start_renewal(hub, slot);
}

static void keep_subscriptions(struct session_slot *slot, const struct session_start *start)
{
    if (start->subscription_count == 0)
        return;
    slot->subscriptions = xcalloc(start->subscription_count, sizeof *slot->subscriptions);
    slot->subscription_count = start->subscription_count;
    for (size_t i = 0; i < start->subscription_count; i++)
        slot->subscriptions[i] = str_from(str_dup(start->subscriptions[i]), start->subscriptions[i].len);
}

static void drop_subscriptions(struct session_slot *slot)
{
    for (size_t i = 0; i < slot->subscription_count; i++)
        free((void *)(uintptr_t)slot->subscriptions[i].ptr);
    free(slot->subscriptions);
    slot->subscriptions = NULL;
    slot->subscription_count = 0;
}

static void receive_held(const struct session_slot_events *events, struct session *session, struct buf *held)
{
    for (size_t at = 0; at < held->len;) {
        struct str text = str_from_cstr(held->ptr + at);
        events->held(session->hub, session, text);
        at += text.len + 1;
    }
    buf_fini(held);
}

static void answered(struct session *session, struct request *request)
{
    struct hub *hub = session->hub;
    bool granted = request->error || CONTAINER_OF(request, struct session_slot_request, base)->granted;
    if (session->state != SESSION_OPEN)
        return; /* SESSION_SLOT_LEAVE has followed, or will */
    struct session_slot *slot = session->session_slot;
    struct buf held = slot->held;
    slot->awaited = false;
    slot->held = (struct buf){0};
    if (!granted) {
        buf_fini(&held);
        session_end(session, REASON_CONNECTION_LIMIT);
        return;
    }
    start_renewal(hub, slot);
    slot->events->granted(hub, session, slot->subscriptions, slot->subscription_count);
    drop_subscriptions(slot);
    receive_held(slot->events, session, &held);
}

bool session_slot_take(struct hub *hub, struct session *session, const struct session_start *start,
                       const struct session_slot_events *events)
{
    if (!session->claims->session_limit || !hub->settings.session_slot_ttl_ms)
        return false;
    session->session_slot = xcalloc(1, sizeof *session->session_slot);
    session->session_slot->session = session;
    session->session_slot->awaited = true;
    session->session_slot->events = events;
    keep_subscriptions(session->session_slot, start);
    send(session, SESSION_SLOT_TAKE, answered);
    return true;
}

void session_slot_follow(struct hub *hub, struct session *session, const struct hub_settings *before)
{
    struct session_slot *slot = session->session_slot;
    if (!slot || slot->awaited || hub->settings.session_slot_ttl_ms == before->session_slot_ttl_ms)
        return;
    uint64_t third_us = hub->settings.session_slot_ttl_ms * 1000 / 3; /* not all of them at once */
    wheel_start(&hub->wheel, &slot->renewal, hub->now_us + (third_us ? random_below(third_us) : 0), renew);
}

bool session_slot_is_awaited(const struct session *session)
{
    return session->session_slot && session->session_slot->awaited;
}

bool session_slot_hold(struct hub *hub, struct session *session, struct str text)
{
    struct buf *held = &session->session_slot->held;
    if (!session->session_slot->awaited)
        return false;
    if (text.len >= HELD_MAX - held->len || memchr(text.ptr, '\0', text.len)) {
        session_end(session, REASON_BAD_MESSAGES);
        return true;
    }
    buf_append(held, text);
    buf_append_char(held, '\0');
    return true;
}

void session_slot_leave(struct hub *hub, struct session *session)
{
    struct session_slot *slot = session->session_slot;
    if (!slot)
        return;
    send(session, SESSION_SLOT_LEAVE, NULL);
    wheel_stop(&hub->wheel, &slot->renewal);
    buf_fini(&slot->held);
    drop_subscriptions(slot);
    free(slot);
    session->session_slot = NULL;
}
