/* router_rig.c - see router_rig.h. */
#include "tests/unit/node/router_rig.h"

#include "tests/support/unit.h"

static const struct broker_sink sink = {.answered = router_answered};

void router_rig_setup(struct router_rig *rig, const struct broker_ops *ops)
{
    memset(rig, 0, sizeof *rig);
    uv_loop_init(&rig->loop);
    turn_init(&rig->turn, &rig->loop);
    metrics_init(&rig->metrics, -1);
    router_init(&rig->router, &rig->turn, &rig->metrics);
    rig->broker = (struct broker){.ops = ops, .sink = &sink, .owner = &rig->router};
    rig->router.broker = &rig->broker;
}

void router_rig_close(struct router_rig *rig)
{
    router_close(&rig->router);
}

void router_rig_teardown(struct router_rig *rig)
{
    turn_close(&rig->turn);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    router_fini(&rig->router);
}
