/* node_presence.c - see node_presence.h. */
#include "server/node/node_presence.h"

#include "common/base/alloc.h"
#include "common/base/random.h"
#include "common/base/shared_texts.h"

/* Changes that come within GATHER_MS go in one update. */
enum { GATHER_MS = 20, RETRY_MS = 1000 };

enum told {
    TOLD_NOTHING, /* the broker does not have this member here */
    TOLD_HERE,
    TOLD_UNKNOWN, /* an update failed on its way: it may have been applied */
};

/* A user on a channel. Owned by its room. It is freed when no session is here and the broker knows that. */
struct member {
    struct list_link change; /* in room.changed, while the broker has yet to be told */
    uint32_t count;          /* sessions here */
    enum told told;
    bool asked; /* it is part of the update under way */
    struct str user;
    struct shared_text *entry; /* a reference */
    char bytes[];
};

/* A channel with members here, or with members that the broker still has to remove. Owned by presence.rooms. */
struct room {
    struct presence *presence;
    struct presence_policy policy;
    struct map members;
    struct list_link changed;
    uint64_t connections;
    struct timer timer; /* the next update */
    bool busy;          /* an update is under way */
    bool wanted;        /* there is something to tell, and the timer runs for it or the answer under way looks */
    uint64_t round;     /* drawn anew whenever the broker is told all members again */
    uint64_t number;    /* of the round's last update that the broker is known to have; 0: none yet */
    struct str channel;
    char bytes[];
};

struct presence {
    struct router *router;
    struct map rooms;
    struct shared_texts entries; /* a user's is the same on all of its channels */
    uint64_t numbers;            /* of updates */
    bool closing; /* rooms stay until presence_destroy: answers to several updates of a room may be due */
};

/* ---- rooms and members ---- */

static struct room *find_or_create_room(struct presence *presence, const struct presence_change *change)
{
    struct room *room = map_get(&presence->rooms, change->channel);
    if (!room) {
        room = xcalloc(1, sizeof *room + change->channel.len);
        memcpy(room->bytes, change->channel.ptr, change->channel.len);
        room->channel = str_from(room->bytes, change->channel.len);
        room->presence = presence;
        room->round = random_below(UINT64_MAX); /* an earlier life's rounds are not mistaken for ours */
        list_init(&room->changed);
        map_put(&presence->rooms, room->channel, room);
    }
    room->policy = change->policy;
    return room;
}

static void free_member(struct room *room, struct member *member)
{
    list_remove(&member->change);
    map_remove(&room->members, member->user);
    shared_text_drop(&room->presence->entries, member->entry);
    free(member);
}

static void free_room(struct room *room)
{
    size_t cursor = 0;
    for (struct member *member; (member = map_next(&room->members, &cursor));) {
        shared_text_drop(&room->presence->entries, member->entry);
        free(member);
    }
    map_fini(&room->members);
    turn_stop_timer(room->presence->router->mailbox.turn, &room->timer);
    free(room);
}

static void drop_if_empty(struct room *room)
{
    if (room->members.count || room->busy)
        return;
    map_remove(&room->presence->rooms, room->channel);
    free_room(room);
}

static struct member *create_member(struct room *room, const struct presence_change *change)
{
    struct member *member = xcalloc(1, sizeof *member + change->user.len);
    memcpy(member->bytes, change->user.ptr, change->user.len);
    member->user = str_from(member->bytes, change->user.len);
    member->entry = shared_text_take(&room->presence->entries, change->entry);
    map_put(&room->members, member->user, member);
    return member;
}

static bool is_settled(const struct member *member)
{
    return member->told == (member->count ? TOLD_HERE : TOLD_NOTHING);
}

/* Queues the member for the next update, or takes it out of the queue. A member that nobody needs any more is freed. */
static void settle(struct room *room, struct member *member)
{
    if (!is_settled(member)) {
        if (!list_is_linked(&member->change) && !member->asked)
            list_append(&room->changed, &member->change);
        return;
    }
    list_remove(&member->change);
    if (!member->count && !member->asked)
        free_member(room, member);
}

/* ---- updates ---- */

static void send_update(struct room *room);

static void on_due(struct timer *timer, uint64_t now_us)
{
    (void)now_us;
    send_update(CONTAINER_OF(timer, struct room, timer));
}

static void update_in(struct room *room, uint64_t ms)
{
    turn_start_timer(room->presence->router->mailbox.turn, &room->timer, ms * 1000, on_due);
}

/* The broker has lost this node's members: all of them are told again. */
static void begin_again(struct room *room)
{
    struct list_link lost;
    size_t cursor = 0;
    list_init(&lost);
    room->round = random_below(UINT64_MAX);
    room->number = 0;
    for (struct member *member; (member = map_next(&room->members, &cursor));) {
        member->told = TOLD_NOTHING;
        list_remove(&member->change);
        list_append(&lost, &member->change); /* settled after the walk: that may remove it */
    }
    for (struct list_link *link; (link = list_take_first(&lost));)
        settle(room, CONTAINER_OF(link, struct member, change));
}

static void take_answer(struct room *room, const struct presence_update *update)
{
    bool done = !update->base.error && update->known;
    for (size_t i = 0; i < update->count; i++) {
        struct member *member = update->items[i].member; /* it stays while it is asked about */
        member->asked = false;
        if (done)
            member->told = update->items[i].here ? TOLD_HERE : TOLD_NOTHING;
        else if (update->base.error)
            member->told = TOLD_UNKNOWN;
        settle(room, member);
    }
    if (done)
        room->number = update->number;
    else if (!update->base.error)
        begin_again(room);
}

static void answered(struct request *base, void *owner)
{
    struct room *room = base->waiter;
    struct presence_update *update = CONTAINER_OF(base, struct presence_update, base);
    bool failed = base->error != NULL, more = update->more, full = !update->complete;
    (void)owner;
    room->busy = false;
    take_answer(room, update);
    request_destroy(base);
    if (room->presence->closing) {
        if (!failed && !list_is_empty(&room->changed)) /* members whose join was under way */
            send_update(room);
        return;
    }
    if (room->members.count == 0)
        drop_if_empty(room);
    else if (failed)
        update_in(room, RETRY_MS);
    else if (full) /* of what had been gathered there was more than fits into one */
        send_update(room);
    else if (room->wanted || more || !list_is_empty(&room->changed))
        update_in(room, 0);
    else
        update_in(room, room->policy.ttl_ms / 4);
}

/* How many of the changes one update takes. */
static size_t count_fitting(const struct room *room)
{
    size_t count = 0;
    for (const struct list_link *link = room->changed.next; link != &room->changed && count < PRESENCE_BATCH_MAX;
         link = link->next)
        count++;
    return count;
}

static struct presence_update *make_update(struct room *room)
{
    const size_t items = count_fitting(room);
    struct presence_update *update = presence_update_create(items);
    update->base.reply_to = &room->presence->router->mailbox;
    update->base.done = answered;
    update->base.waiter = room;
    update->policy = room->policy;
    update->base.channel = room->channel;
    update->connections = room->connections;
    update->round = room->round;
    update->after = room->number;
    update->number = ++room->presence->numbers;
    while (update->count < items) {
        struct member *member = CONTAINER_OF(list_take_first(&room->changed), struct member, change);
        member->asked = true;
        update->items[update->count++] = (struct presence_item){
            .here = member->count > 0, .user = member->user, .entry = member->entry->text, .member = member};
    }
    update->complete = list_is_empty(&room->changed);
    return update;
}

static void send_update(struct room *room)
{
    if (room->busy)
        return; /* its answer looks for more */
    room->busy = true;
    room->wanted = false;
    turn_stop_timer(room->presence->router->mailbox.turn, &room->timer);
    router_ask_broker(room->presence->router, &make_update(room)->base);
}

void presence_hurry(struct presence *presence)
{
    size_t cursor = 0;
    for (struct room *room;
         (room = map_next(&presence->rooms, &cursor));) /* an answer comes by mail, and drops it then */
        if (room->wanted || !list_is_empty(&room->changed))
            send_update(room);
}

void presence_forget(struct presence *presence)
{
    struct map busy = {0};
    size_t cursor = 0;
    for (struct room *room; (room = map_next(&presence->rooms, &cursor));)
        if (room->busy)
            map_put(&busy, room->channel, room);
        else
            free_room(room);
    map_fini(&presence->rooms);
    presence->rooms = busy;
}

/* ---- from the workers ---- */

/* An update follows soon, even if no member has changed: it also carries the policy and the ttl. */
static void tell_soon(struct room *room)
{
    if (!room->wanted && !room->busy)
        update_in(room, GATHER_MS);
    room->wanted = true;
}

static void apply_policy(struct presence *presence, const struct presence_change *change)
{
    struct room *room = map_get(&presence->rooms, change->channel);
    if (!room)
        return;
    room->policy = change->policy;
    tell_soon(room);
}

static void apply(struct presence *presence, const struct presence_change *change)
{
    struct room *room = find_or_create_room(presence, change);
    struct member *member = map_get(&room->members, change->user);
    if (!member && change->here)
        member = create_member(room, change);
    if (member && (change->here || member->count)) {
        member->count += change->here ? 1 : UINT32_MAX; /* one more, one less */
        room->connections += change->here ? 1 : UINT64_MAX;
        settle(room, member);
    }
    if (room->members.count == 0) {
        drop_if_empty(room); /* came and went before anybody was told */
        return;
    }
    tell_soon(room);
}

static void take_change(struct mail *mail, void *owner)
{
    struct presence_change *change = CONTAINER_OF(mail, struct presence_change, mail);
    (void)owner;
    if (change->policy_only)
        apply_policy(change->presence, change);
    else
        apply(change->presence, change);
    free(change);
}

void presence_post(void *owner, struct presence_change *change)
{
    struct router *router = owner;
    change->presence = router->presence;
    change->mail.deliver = take_change;
    mailbox_post(&router->mailbox, &change->mail);
}

/* ---- life ---- */

struct presence *presence_create(struct router *router)
{
    struct presence *presence = xcalloc(1, sizeof *presence);
    presence->router = router;
    router->presence = presence;
    return presence;
}

/* The broker may not answer these updates any more. So members and rooms stay until presence_destroy. */
static void leave_room(struct room *room)
{
    size_t cursor = 0;
    room->connections = 0;
    turn_stop_timer(room->presence->router->mailbox.turn, &room->timer);
    for (struct member *member; (member = map_next(&room->members, &cursor));) {
        member->count = 0;
        if (!is_settled(member) && !list_is_linked(&member->change) && !member->asked)
            list_append(&room->changed, &member->change);
    }
    while (!list_is_empty(&room->changed)) {
        room->busy = false;
        send_update(room);
    }
}

void presence_close(struct presence *presence)
{
    size_t cursor = 0;
    presence->closing = true;
    for (struct room *room; (room = map_next(&presence->rooms, &cursor));)
        leave_room(room);
}

void presence_destroy(struct presence *presence)
{
    size_t cursor = 0;
    for (struct room *room; (room = map_next(&presence->rooms, &cursor));)
        free_room(room);
    map_fini(&presence->rooms);
    shared_texts_fini(&presence->entries);
    free(presence);
}
