/* node_revoke.c - what becomes of a revocation on this node: the table that all workers verify tokens with has it at
 * once, and each worker then closes the open sessions it covers. Runs in the broker's thread, but for the walks through
 * the sessions, each in its worker's. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "server/app/node_private.h"

/* To one worker: its sessions are to be looked at. At most one is on its way, however many revocations come. */
struct node_recheck {
    struct mail mail;
    struct revocations *revocations;
    atomic_bool posted;
};

static void recheck(struct mail *mail, void *owner)
{
    struct node_recheck *recheck = CONTAINER_OF(mail, struct node_recheck, mail);
    struct hub *hub = owner;
    size_t cursor = 0;
    atomic_store(&recheck->posted, false); /* before the walk: what comes from here on is another one's */
    for (struct session *session; (session = hub_next_session(hub, &cursor));)
        if (revocations_cover(recheck->revocations, session->claims, hub_wall_ms(hub)))
            hub_close(hub, session, REASON_TOKEN_REVOKED);
}

static void on_revoked(void *owner, const struct revocation *revocation)
{
    struct node *node = owner;
    uint64_t now_ms = clock_wall_ms();
    revocations_add(node->revocations, revocation, now_ms);
    metrics_set(&node->metrics, METRIC_REVOCATIONS, revocations_count(node->revocations));
    for (unsigned i = 0; i < node->worker_count; i++)
        if (!atomic_exchange(&node->rechecks[i].posted, true))
            mailbox_post(&node->workers[i]->mailbox, &node->rechecks[i].mail);
}

static void written_back(struct broker_request *request, void *owner)
{
    (void)owner;
    free(CONTAINER_OF(request, struct revoke_request, base)); /* refused: tried again when the broker comes up again */
}

static void write_back(void *owner, const struct revocation *revocation)
{
    struct node *node = owner;
    struct revoke_request *request = revoke_request_create(revocation);
    request->base.reply_to = &node->exchange.mailbox;
    request->base.done = written_back;
    exchange_ask(&node->exchange, &request->base);
}

/* What Redis has lost meanwhile it gets back. */
static void on_revocations(void *owner, bool begin)
{
    struct node *node = owner;
    if (begin)
        revocations_doubt(node->revocations);
    else
        revocations_each_doubted(node->revocations, clock_wall_ms(), write_back, node);
}

void node_create_revocations(struct node *node)
{
    node->revocations = revocations_create();
    node->rechecks = xcalloc(EXCHANGE_WORKERS_MAX, sizeof *node->rechecks);
    for (unsigned i = 0; i < EXCHANGE_WORKERS_MAX; i++) {
        node->rechecks[i].mail.deliver = recheck;
        node->rechecks[i].revocations = node->revocations;
    }
    node->exchange.on_revoked = on_revoked;
    node->exchange.on_revocations = on_revocations;
    node->exchange.revoked_owner = node;
}

void node_destroy_revocations(struct node *node)
{
    revocations_destroy(node->revocations);
    free(node->rechecks);
}
