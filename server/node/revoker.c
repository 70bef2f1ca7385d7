/* revoker.c - see revoker.h. */
#include "server/node/revoker.h"

#include "common/base/alloc.h"

/* A round goes through the whole table, a part with each tick. Rounds begin:
 * - when Redis has told all revocations that it keeps: those that it lacks are given back;
 * - RETRY_US after Redis has refused some;
 * - every ROUND_US, to forget revocations that have ended.
 * While Redis takes what is given back, its answers carry the round on between the ticks. */
enum { RETRY_US = 5000000, ROUND_US = 60000000, LOOK_AT_ONCE = 500, ASKED_MAX = 1000 };

/* RECHECK_AT_ONCE: sessions that are looked at in one step; a turn has several steps. USERS_MAX: users whose sessions
 * have yet to be looked at, for each worker. */
enum { RECHECK_AT_ONCE = 100, USERS_MAX = 1000 };

/* Mail to one worker: look at all sessions, a part of them in each turn. A worker has one walk at most. A revocation
 * that comes meanwhile makes the walk go once more through all sessions, starting from where it is. */
struct recheck {
    struct mail mail;
    struct revocations *revocations;
    struct mailbox *worker;
    atomic_size_t users;  /* struct user_recheck on their way */
    atomic_size_t wanted; /* revocations that the walk is for; 0: none is under way */
    /* Only the worker touches these: */
    size_t seen; /* the part of wanted that came before the walk began */
    size_t left; /* places of sessions */
    size_t cursor;
};

/* Mail to one worker: look at the sessions of one user. */
struct user_recheck {
    struct mail mail;
    struct recheck *recheck; /* of the worker */
    struct mailbox *worker;
    size_t after_len;
    char after[UUID_LEN]; /* of the last session that was looked at */
    size_t user_len;
    char user[REVOCATION_VALUE_MAX];
};

struct revoker {
    struct router *router;
    struct revocations *revocations;
    bool reading;      /* what Redis keeps is being told */
    bool looking;      /* a round is under way */
    uint64_t round_us; /* when the next one begins */
    size_t asked;      /* revocations on their way back to Redis */
    bool refused;      /* some of them were */
    uint64_t next_us;  /* not before are they tried again */
    struct recheck rechecks[ROUTER_WORKERS_MAX];
};

/* ---- sessions ---- */

static void look_at(const struct recheck *recheck, struct hub *hub, struct session *session)
{
    if (revocations_cover(recheck->revocations, session->claims, hub_wall_ms(hub)))
        session_end(session, REASON_TOKEN_REVOKED);
}

static void look_at_sessions(struct recheck *recheck, struct hub *hub)
{
    const struct session_index *sessions = hub_sessions(hub);
    for (size_t count = 0; count < RECHECK_AT_ONCE && recheck->left; count++, recheck->left--) {
        if (recheck->cursor >= sessions->place_count)
            recheck->cursor = 0;
        struct session *session = session_index_at(sessions, recheck->cursor++);
        if (session)
            look_at(recheck, hub, session);
    }
}

static void recheck_all(struct mail *mail, void *owner)
{
    struct recheck *recheck = CONTAINER_OF(mail, struct recheck, mail);
    size_t wanted = atomic_load(&recheck->wanted); /* before the walk: what comes from here on begins it again */
    if (wanted != recheck->seen) {
        recheck->seen = wanted;
        recheck->left = hub_sessions(owner)->place_count; /* who comes later has been verified with it */
    }
    look_at_sessions(recheck, owner);
    if (!recheck->left) {
        size_t seen = recheck->seen;
        recheck->seen = 0;
        if (atomic_fetch_sub(&recheck->wanted, seen) == seen)
            return;
    }
    mailbox_post(recheck->worker, mail);
}

static void want_all(struct recheck *recheck, struct mailbox *worker)
{
    if (atomic_fetch_add(&recheck->wanted, 1) > 0)
        return;
    recheck->worker = worker;
    mailbox_post(worker, &recheck->mail);
}

static void recheck_user(struct mail *mail, void *owner)
{
    struct user_recheck *asked = CONTAINER_OF(mail, struct user_recheck, mail);
    struct recheck *recheck = asked->recheck;
    const struct sorted order = session_index_of_user(hub_sessions(owner), str_from(asked->user, asked->user_len));
    struct sorted_link *link = sorted_after(&order, str_from(asked->after, asked->after_len));
    for (size_t count = 0; link && count < RECHECK_AT_ONCE; count++) {
        struct session *session = session_of_user(link);
        link = sorted_next(link); /* before the session ends, which takes it out */
        asked->after_len = UUID_LEN;
        memcpy(asked->after, session->uuid, UUID_LEN);
        look_at(recheck, owner, session);
    }
    if (link) {
        mailbox_post(asked->worker, mail);
        return;
    }
    if (hub_sessions(owner)->renamed_count)
        want_all(recheck, asked->worker); /* the user of a token may have sessions under another name */
    atomic_fetch_sub(&recheck->users, 1);
    free(asked);
}

/* False if USERS_MAX are on their way: then one walk through all sessions is cheaper. */
static bool want_user(struct recheck *recheck, struct mailbox *worker, struct str user)
{
    if (atomic_load(&recheck->users) >= USERS_MAX || user.len > REVOCATION_VALUE_MAX)
        return false;
    struct user_recheck *asked = xmalloc(sizeof *asked);
    asked->mail.deliver = recheck_user;
    asked->recheck = recheck;
    asked->worker = worker;
    asked->after_len = 0;
    asked->user_len = user.len;
    memcpy(asked->user, user.ptr, user.len);
    atomic_fetch_add(&recheck->users, 1);
    mailbox_post(worker, &asked->mail);
    return true;
}

void revoker_hear(struct revoker *revoker, const struct revocation *revocation)
{
    struct router *router = revoker->router;
    bool of_user = revocation->kind == REVOCATION_USER;
    revocations_add(revoker->revocations, revocation, turn_wall_ms(revoker->router->mailbox.turn));
    metrics_set(router->metrics, METRIC_REVOCATIONS, revocations_count(revoker->revocations));
    for (unsigned i = 0; i < router->worker_count; i++) {
        struct recheck *recheck = &revoker->rechecks[i];
        struct mailbox *worker = router->workers[i];
        if (!of_user || !want_user(recheck, worker, revocation->value))
            want_all(recheck, worker);
    }
}

/* ---- rounds: what is over, and what Redis has lost ---- */

static void look_on(struct revoker *revoker);

static void written_back(struct request *request, void *owner)
{
    struct revoker *revoker = request->waiter;
    bool refused = request->error != NULL;
    (void)owner;
    revoker->asked--;
    revoker->refused = revoker->refused || refused;
    request_destroy(request);
    if (!refused && revoker->looking && revoker->asked < ASKED_MAX / 2)
        look_on(revoker);
}

static void write_back(void *owner, const struct revocation *revocation)
{
    struct revoker *revoker = owner;
    if (revoker->reading)
        return; /* a round follows */
    if (atomic_load(&revoker->router->broker_state) != BROKER_UP) {
        revoker->refused = true;
        return;
    }
    struct revoke_request *request = revoke_request_create(revocation);
    request->base.reply_to = &revoker->router->mailbox;
    request->base.done = written_back;
    request->base.waiter = revoker;
    revoker->asked++;
    router_ask(revoker->router, &request->base);
}

static void look_on(struct revoker *revoker)
{
    revoker->looking = revocations_look(revoker->revocations, LOOK_AT_ONCE, turn_wall_ms(revoker->router->mailbox.turn),
                                        write_back, revoker);
    metrics_set(revoker->router->metrics, METRIC_REVOCATIONS, revocations_count(revoker->revocations));
}

static void begin_round(struct revoker *revoker, uint64_t now_us)
{
    revocations_begin_round(revoker->revocations);
    revoker->looking = true;
    revoker->round_us = now_us + ROUND_US;
}

void revoker_hear_all(struct revoker *revoker, bool begin)
{
    revoker->reading = begin;
    if (begin) {
        revocations_doubt(revoker->revocations);
        return;
    }
    begin_round(revoker, turn_now_us(revoker->router->mailbox.turn));
    look_on(revoker);
}

void revoker_tick(struct revoker *revoker, uint64_t now_us)
{
    bool again = revoker->refused && !revoker->asked && now_us >= revoker->next_us &&
                 atomic_load(&revoker->router->broker_state) == BROKER_UP; /* when it comes up, they are read anew */
    if (again) {
        revoker->refused = false;
        revoker->next_us = now_us + RETRY_US;
    }
    if (again || (!revoker->looking && now_us >= revoker->round_us))
        begin_round(revoker, now_us);
    if (revoker->looking && revoker->asked < ASKED_MAX)
        look_on(revoker);
}

/* ---- life ---- */

struct revoker *revoker_create(struct router *router, struct revocations *revocations)
{
    struct revoker *revoker = xcalloc(1, sizeof *revoker);
    revoker->router = router;
    revoker->revocations = revocations;
    for (unsigned i = 0; i < ROUTER_WORKERS_MAX; i++) {
        revoker->rechecks[i].mail.deliver = recheck_all;
        revoker->rechecks[i].revocations = revocations;
    }
    return revoker;
}

void revoker_destroy(struct revoker *revoker)
{
    free(revoker);
}
