/* router_broker.c - the one way by which requests reach the broker. When the broker has closed, they are refused here.
 */
#include "server/node/router.h"

static void deliver_refused(struct mail *mail, void *owner)
{
    const struct router *router = owner;
    broker_answer(router->broker, CONTAINER_OF(mail, struct request, mail));
}

void router_ask_broker(struct router *router, struct request *request)
{
    if (!router->has_ended) {
        router->broker->ops->ask(router->broker, request);
        return;
    }
    request_fail(request, ERR_UNAVAILABLE, "this node is stopping");
    request->mail.deliver = deliver_refused;
    mailbox_post(&router->mailbox, &request->mail);
}
