/* router_rig.c - see router_rig.h. */
#include "tests/unit/node/router_rig.h"

#include "tests/support/unit.h"

void exchange_rig_setup(struct exchange_rig *rig, const struct broker_ops *ops)
{
    memset(rig, 0, sizeof *rig);
    uv_loop_init(&rig->loop);
    turn_init(&rig->turn, &rig->loop);
    metrics_init(&rig->metrics, -1);
    exchange_init(&rig->exchange, &rig->turn, &rig->metrics);
    rig->broker.ops = ops;
    rig->exchange.broker = &rig->broker;
}

void exchange_rig_close(struct exchange_rig *rig)
{
    exchange_close(&rig->exchange);
}

void exchange_rig_teardown(struct exchange_rig *rig)
{
    turn_close(&rig->turn);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    exchange_fini(&rig->exchange);
}
