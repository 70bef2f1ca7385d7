/* node_revoke.c - what server/app/node_revoke.c does: a revocation is in the node's table at once, and each worker then
 * closes the sessions it covers; what Redis has lost is written back. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "tests/sim/node.h"

static void recheck(struct mail *mail, void *owner)
{
    struct sim_worker *worker = CONTAINER_OF(mail, struct sim_worker, recheck);
    size_t cursor = 0;
    worker->recheck_posted = false;
    for (struct session *session; (session = hub_next_session(worker->hub, &cursor));)
        if (revocations_cover(worker->node->revocations, session->claims, hub_wall_ms(worker->hub)))
            hub_close(worker->hub, session, REASON_TOKEN_REVOKED);
}

static void on_revoked(void *owner, const struct revocation *revocation)
{
    struct node *node = owner;
    revocations_add(node->revocations, revocation, clock_wall_ms());
    for (unsigned i = 0; i < node->worker_count; i++) {
        struct sim_worker *worker = &node->workers[i];
        if (worker->recheck_posted)
            continue;
        worker->recheck_posted = true;
        mailbox_post(&worker->mailbox, &worker->recheck);
    }
}

static void written_back(struct broker_request *request, void *owner)
{
    free(CONTAINER_OF(request, struct revoke_request, base));
}

static void write_back(void *owner, const struct revocation *revocation)
{
    struct node *node = owner;
    struct revoke_request *request = revoke_request_create(revocation);
    request->base.reply_to = &node->exchange.mailbox;
    request->base.done = written_back;
    exchange_ask(&node->exchange, &request->base);
}

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
    for (unsigned i = 0; i < node->worker_count; i++)
        node->workers[i].recheck.deliver = recheck;
    node->exchange.on_revoked = on_revoked;
    node->exchange.on_revocations = on_revocations;
    node->exchange.revoked_owner = node;
}
