/* revoker.c - see revoker.h. */
#include "server/broker/revoker.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"

enum { RETRY_US = 5000000 };

/* To one worker: its sessions are to be looked at. At most one is on its way, however many revocations come. */
struct recheck {
    struct mail mail;
    struct revocations *revocations;
    atomic_bool posted;
};

struct revoker {
    struct exchange *exchange;
    struct revocations *revocations;
    size_t asked;     /* revocations on their way back to Redis */
    bool refused;     /* some of them were */
    uint64_t next_us; /* not before are they tried again */
    struct recheck rechecks[EXCHANGE_WORKERS_MAX];
};

static void recheck(struct mail *mail, void *owner)
{
    struct recheck *recheck = CONTAINER_OF(mail, struct recheck, mail);
    struct hub *hub = owner;
    size_t cursor = 0;
    atomic_store(&recheck->posted, false); /* before the walk: what comes from here on is another one's */
    for (struct session *session; (session = hub_next_session(hub, &cursor));)
        if (revocations_cover(recheck->revocations, session->claims, hub_wall_ms(hub)))
            hub_close(hub, session, REASON_TOKEN_REVOKED);
}

static void on_revoked(void *owner, const struct revocation *revocation)
{
    struct revoker *revoker = owner;
    struct exchange *exchange = revoker->exchange;
    revocations_add(revoker->revocations, revocation, clock_wall_ms());
    metrics_set(exchange->metrics, METRIC_REVOCATIONS, revocations_count(revoker->revocations));
    for (unsigned i = 0; i < exchange->worker_count; i++)
        if (!atomic_exchange(&revoker->rechecks[i].posted, true))
            mailbox_post(exchange->workers[i], &revoker->rechecks[i].mail);
}

/* ---- what Redis has lost ---- */

static void written_back(struct broker_request *request, void *owner)
{
    struct revoker *revoker = request->waiter;
    (void)owner;
    revoker->asked--;
    revoker->refused = revoker->refused || request->error.code;
    free(CONTAINER_OF(request, struct revoke_request, base));
}

static void write_back(void *owner, const struct revocation *revocation)
{
    struct revoker *revoker = owner;
    struct revoke_request *request = revoke_request_create(revocation);
    request->base.reply_to = &revoker->exchange->mailbox;
    request->base.done = written_back;
    request->base.waiter = revoker;
    revoker->asked++;
    exchange_ask(revoker->exchange, &request->base);
}

static void on_revocations(void *owner, bool begin)
{
    struct revoker *revoker = owner;
    if (begin)
        revocations_doubt(revoker->revocations);
    else
        revocations_each_doubted(revoker->revocations, clock_wall_ms(), write_back, revoker);
}

void revoker_tick(struct revoker *revoker, uint64_t now_us)
{
    if (!revoker->refused || revoker->asked || now_us < revoker->next_us ||
        atomic_load(&revoker->exchange->broker_state) != BROKER_UP)
        return; /* when it comes up, they are read and compared anew */
    revoker->refused = false;
    revoker->next_us = now_us + RETRY_US;
    revocations_each_doubted(revoker->revocations, clock_wall_ms(), write_back, revoker);
}

/* ---- life ---- */

struct revoker *revoker_create(struct exchange *exchange, struct revocations *revocations)
{
    struct revoker *revoker = xcalloc(1, sizeof *revoker);
    revoker->exchange = exchange;
    revoker->revocations = revocations;
    for (unsigned i = 0; i < EXCHANGE_WORKERS_MAX; i++) {
        revoker->rechecks[i].mail.deliver = recheck;
        revoker->rechecks[i].revocations = revocations;
    }
    exchange->on_revoked = on_revoked;
    exchange->on_revocations = on_revocations;
    exchange->revoked_owner = revoker;
    return revoker;
}

void revoker_destroy(struct revoker *revoker)
{
    free(revoker);
}
