/* session_slot.c - see session_slot.h. */
#include "server/core/session_slot.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "common/base/random.h"
#include "server/core/hub_private.h"

struct session_slot {
    struct hub *hub;
    struct list_link link; /* in hub->session_slots; once it has been given back, in no list */
    struct claims *claims; /* one reference */
    char uuid[UUID_LEN + 1];
    bool asked; /* the answer to TAKE has yet to come */
    bool left;
    void (*answered)(void *waiter, bool granted); /* NULL: nobody waits */
    void *waiter;
    struct timer renewal;
};

static void renew(struct timer *timer, uint64_t now_us);

static void send(struct session_slot *slot, enum session_slot_action action,
                 void (*done)(struct request *request, void *owner))
{
    struct hub *hub = slot->hub;
    struct session_slot_request *request =
        session_slot_request_create(action, slot->claims->sub, str_from(slot->uuid, UUID_LEN));
    request->limit = slot->claims->session_limit;
    request->ttl_ms = hub->settings.session_slot_ttl_ms;
    request->base.reply_to = hub->replies;
    request->base.done = done;
    request->base.waiter = slot;
    hub->node->ask(hub->node_owner, &request->base);
}

static void done_with(struct request *request, void *owner)
{
    (void)owner;
    request_destroy(request); /* refused: the next renewal tries again */
}

static void start_renewal(struct session_slot *slot)
{
    uint64_t third_us = slot->hub->settings.session_slot_ttl_ms * 1000 / 3;
    wheel_start(&slot->hub->wheel, &slot->renewal, slot->hub->now_us + third_us, renew);
}

static void renew(struct timer *timer, uint64_t now_us)
{
    struct session_slot *slot = CONTAINER_OF(timer, struct session_slot, renewal);
    (void)now_us;
    send(slot, SESSION_SLOT_KEEP, done_with);
    start_renewal(slot);
}

static void forget(struct session_slot *slot)
{
    claims_unref(slot->claims);
    free(slot);
}

static void taken(struct request *request, void *owner)
{
    struct session_slot *slot = request->waiter;
    bool granted = request->error || CONTAINER_OF(request, struct session_slot_request, base)->granted;
    (void)owner;
    request_destroy(request);
    slot->asked = false;
    if (slot->left) {
        forget(slot);
        return;
    }
    if (granted || !slot->answered)
        start_renewal(slot);
    if (slot->answered)
        slot->answered(slot->waiter, granted);
}

bool session_slot_is_needed(const struct hub *hub, const struct claims *claims)
{
    return claims->session_limit && hub->settings.session_slot_ttl_ms;
}

struct session_slot *session_slot_take(struct hub *hub, struct str uuid, struct claims *claims,
                                       void (*answered)(void *waiter, bool granted), void *waiter)
{
    struct session_slot *slot = xcalloc(1, sizeof *slot);
    slot->hub = hub;
    slot->claims = claims_ref(claims);
    assert(uuid.len == UUID_LEN);
    memcpy(slot->uuid, uuid.ptr, UUID_LEN);
    slot->asked = true;
    slot->answered = answered;
    slot->waiter = waiter;
    list_append(&hub->session_slots, &slot->link);
    send(slot, SESSION_SLOT_TAKE, taken);
    return slot;
}

void session_slot_stop_waiting(struct session_slot *slot)
{
    slot->answered = NULL;
}

void session_slots_follow(struct hub *hub, const struct hub_settings *before)
{
    if (hub->settings.session_slot_ttl_ms == before->session_slot_ttl_ms)
        return;
    uint64_t third_us = hub->settings.session_slot_ttl_ms * 1000 / 3;
    LIST_EACH(link, &hub->session_slots)
    {
        struct session_slot *slot = CONTAINER_OF(link, struct session_slot, link);
        if (slot->asked)
            continue;
        uint64_t delay_us = third_us ? random_below(third_us) : 0; /* not all of them at once */
        wheel_start(&hub->wheel, &slot->renewal, hub->now_us + delay_us, renew);
    }
}

void session_slot_leave(struct session_slot *slot)
{
    send(slot, SESSION_SLOT_LEAVE, done_with);
    wheel_stop(&slot->hub->wheel, &slot->renewal);
    list_remove(&slot->link);
    slot->left = true;
    if (!slot->asked)
        forget(slot);
}
