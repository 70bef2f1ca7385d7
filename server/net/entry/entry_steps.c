/* entry_steps.c - see entry_steps.h. */
#include "server/net/entry/entry_steps.h"

#include "common/base/alloc.h"
#include "server/net/entry/limits_step.h"
#include "server/net/entry/session_limit_step.h"
#include "server/net/entry/single_use_step.h"
#include "server/net/entry/subscribe_step.h"
#include "server/net/entry/ticket_step.h"

size_t entry_steps_create(struct hub *hub, const struct outside_steps *outside, struct entry_step **out)
{
    /* A new step gets a row here. Each row says why it has its place. */
    const struct entry_step all[] = {
        limits_step,             /* the cheapest one: it only counts */
        ticket_step(hub),        /* a client with a ticket has no claims before it */
        outside->connect,        /* may change the user and the claims */
        outside->fault,          /* matches the user that the client has now */
        user_limit_step,         /* the user and the claims are final from here on */
        subscribe_step(hub),     /* asks the rules what this user may do */
        session_limit_step(hub), /* asks the broker, so it follows the steps that refuse without a question */
        single_use_step(hub),    /* the last one: a client that another step refuses keeps its token */
    };
    struct entry_step *steps = xcalloc(sizeof all / sizeof *all, sizeof *steps);
    size_t count = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].begin)
            steps[count++] = all[i];
    *out = steps;
    return count;
}
