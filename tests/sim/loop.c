/* loop.c - see loop.h. The order within a turn is libuv's: timers, prepare, poll, check, closing. */
#include "tests/sim/loop.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/bell.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"

enum { TURNS_MAX = 10000, SCHEDULE_JITTER_US = 60 };

static struct sim_loop *current;

/* ---- sets ---- */

static void add(struct handle_set *set, void *handle)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->all[i] == handle)
            return;
    assert(set->count < LOOP_HANDLES_MAX);
    set->all[set->count++] = handle;
}

static bool take(struct handle_set *set, const void *handle)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->all[i] == handle) {
            memmove(set->all + i, set->all + i + 1, (--set->count - i) * sizeof *set->all);
            return true;
        }
    return false;
}

static bool has(const struct handle_set *set, const void *handle)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->all[i] == handle)
            return true;
    return false;
}

/* ---- when a loop runs ---- */

static void run_loop(void *owner, uint64_t number);

static void schedule(struct sim_loop *loop, uint64_t at_us)
{
    if (at_us < loop->paused_until_us)
        at_us = loop->paused_until_us;
    if (at_us < world_now_us())
        at_us = world_now_us();
    if (loop->wakes_at_us <= at_us)
        return;
    loop->wakes_at_us = at_us;
    world_at(at_us, run_loop, loop, at_us);
}

void loop_wake(struct sim_loop *loop)
{
    schedule(loop, world_now_us() + world_below(CHANCE_NETWORK, SCHEDULE_JITTER_US));
}

void loop_pause(struct sim_loop *loop, uint64_t until_us)
{
    loop->paused_until_us = until_us;
    loop->wakes_at_us = UINT64_MAX;
    schedule(loop, until_us);
}

void loop_set_clock(struct sim_loop *loop, int64_t ahead_ms)
{
    loop->wall_ahead_ms = ahead_ms;
}

uint64_t loop_wall_ms(void)
{
    return world_wall_ms() + (uint64_t)(current ? current->wall_ahead_ms : 0);
}

static uv_timer_t *first_timer(const struct sim_loop *loop)
{
    uv_timer_t *first = NULL;
    for (size_t i = 0; i < loop->timers.count; i++) {
        uv_timer_t *timer = (uv_timer_t *)loop->timers.all[i];
        if (!first || timer->timeout < first->timeout ||
            (timer->timeout == first->timeout && timer->start_id < first->start_id))
            first = timer;
    }
    return first;
}

static void run_timers(struct sim_loop *loop)
{
    for (uv_timer_t *timer; (timer = first_timer(loop)) && timer->timeout <= loop->now_ms;) {
        take(&loop->timers, timer);
        if (timer->repeat)
            uv_timer_start(timer, timer->timer_cb, timer->repeat, timer->repeat);
        timer->timer_cb(timer);
    }
}

static void run_prepares(const struct handle_set *set)
{
    struct handle_set now = *set;
    for (size_t i = 0; i < now.count; i++)
        if (has(set, now.all[i]))
            ((uv_prepare_t *)now.all[i])->prepare_cb((uv_prepare_t *)now.all[i]);
}

static void run_checks(const struct handle_set *set)
{
    struct handle_set now = *set;
    for (size_t i = 0; i < now.count; i++)
        if (has(set, now.all[i]))
            ((uv_check_t *)now.all[i])->check_cb((uv_check_t *)now.all[i]);
}

static void run_input(struct sim_loop *loop)
{
    struct loop_input *input = loop->input;
    size_t count = loop->input_count;
    loop->input = NULL;
    loop->input_count = loop->input_cap = 0;
    for (size_t i = 0; i < count; i++)
        input[i].run(input[i].owner, input[i].argument);
    free(input);
}

static void run_closing(struct sim_loop *loop)
{
    struct handle_set now = loop->closing;
    loop->closing.count = 0;
    for (size_t i = 0; i < now.count; i++) {
        uv_handle_t *handle = now.all[i];
        if (handle->type == UV_TCP)
            network_closed((uv_tcp_t *)handle);
        loop->open--;
        if (handle->close_cb)
            handle->close_cb(handle);
    }
}

/* One turn; false if nothing was left for another. */
static bool turn(struct sim_loop *loop)
{
    loop->now_ms = world_now_us() / 1000;
    run_timers(loop);
    run_prepares(&loop->prepares);
    bool again = loop->input_count || loop->has_rung || loop->closing.count;
    run_input(loop);
    loop->has_rung = false;
    run_checks(&loop->checks);
    run_closing(loop);
    return again;
}

void loop_drain(struct sim_loop *loop)
{
    struct sim_loop *before = loop_enter(loop);
    int turns = 0;
    while (turn(loop))
        if (++turns == TURNS_MAX) {
            world_fail("a loop does not come to rest");
            break;
        }
    loop_enter(before);
}

static void run_loop(void *owner, uint64_t number)
{
    struct sim_loop *loop = owner;
    if (loop->dead || loop->wakes_at_us != number)
        return;
    loop->wakes_at_us = UINT64_MAX;
    loop_drain(loop);
    const uv_timer_t *next = first_timer(loop);
    if (next && !loop->dead)
        schedule(loop, next->timeout * 1000 + world_below(CHANCE_NETWORK, SCHEDULE_JITTER_US));
}

void loop_post(struct sim_loop *loop, void (*run)(void *, void *), void *owner, void *argument)
{
    if (loop->input_count == loop->input_cap) {
        loop->input_cap = loop->input_cap ? loop->input_cap * 2 : 16;
        loop->input = xrealloc(loop->input, loop->input_cap * sizeof *loop->input);
    }
    loop->input[loop->input_count++] = (struct loop_input){run, owner, argument};
    loop_wake(loop);
}

/* ---- life ---- */

void loop_init(struct sim_loop *loop)
{
    memset(loop, 0, sizeof *loop);
    loop->uv.data = loop;
    loop->wakes_at_us = UINT64_MAX;
    loop->now_ms = world_now_us() / 1000;
}

void loop_fini(struct sim_loop *loop)
{
    loop->dead = true;
    if (loop->open || loop->input_count)
        world_fail("a node has ended and left %zu handles and %zu inputs on a loop", loop->open, loop->input_count);
    free(loop->input);
    loop->input = NULL;
}

struct sim_loop *loop_of(const uv_loop_t *uv)
{
    return uv->data;
}

void loop_count(struct sim_loop *loop, int change)
{
    loop->open += (size_t)change;
}

struct sim_loop *loop_enter(struct sim_loop *loop)
{
    struct sim_loop *before = current;
    current = loop;
    return before;
}

/* ---- in the place of the C library's: each loop is a thread ---- */

pthread_t __wrap_pthread_self(void);

pthread_t __wrap_pthread_self(void)
{
    return (pthread_t)(uintptr_t)current;
}

/* ---- libuv ---- */

static struct sim_loop *begin(uv_loop_t *uv, void *base, uv_handle_type type)
{
    uv_handle_t *handle = base;
    struct sim_loop *loop = loop_of(uv);
    handle->loop = uv;
    handle->type = type;
    handle->flags = 0;
    handle->close_cb = NULL;
    loop->open++;
    return loop;
}

int uv_timer_init(uv_loop_t *uv, uv_timer_t *timer)
{
    begin(uv, timer, UV_TIMER);
    timer->repeat = timer->timeout = 0;
    return 0;
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb run, uint64_t after_ms, uint64_t repeat_ms)
{
    struct sim_loop *loop = loop_of(timer->loop);
    if (uv_is_closing((uv_handle_t *)timer))
        return UV_EINVAL;
    timer->timer_cb = run;
    timer->timeout = loop->now_ms + after_ms;
    timer->repeat = repeat_ms;
    timer->start_id = loop->timers_started++;
    add(&loop->timers, timer);
    schedule(loop, timer->timeout * 1000);
    return 0;
}

int uv_timer_stop(uv_timer_t *timer)
{
    take(&loop_of(timer->loop)->timers, timer);
    return 0;
}

int uv_prepare_init(uv_loop_t *uv, uv_prepare_t *prepare)
{
    begin(uv, prepare, UV_PREPARE);
    return 0;
}

int uv_prepare_start(uv_prepare_t *prepare, uv_prepare_cb run)
{
    prepare->prepare_cb = run;
    add(&loop_of(prepare->loop)->prepares, prepare);
    return 0;
}

int uv_check_init(uv_loop_t *uv, uv_check_t *check)
{
    begin(uv, check, UV_CHECK);
    return 0;
}

int uv_check_start(uv_check_t *check, uv_check_cb run)
{
    check->check_cb = run;
    add(&loop_of(check->loop)->checks, check);
    return 0;
}

void bell_init(struct bell *bell, uv_loop_t *uv)
{
    begin(uv, &bell->poll, UV_POLL);
}

void bell_ring(struct bell *bell)
{
    struct sim_loop *loop = loop_of(bell->poll.loop);
    loop->has_rung = true;
    loop_wake(loop);
}

void bell_close(struct bell *bell)
{
    uv_close((uv_handle_t *)&bell->poll, NULL);
}

int uv_is_closing(const uv_handle_t *handle)
{
    return handle->flags != 0;
}

int uv_is_active(const uv_handle_t *handle)
{
    const struct sim_loop *loop = loop_of(handle->loop);
    return has(&loop->timers, handle) || has(&loop->prepares, handle) || has(&loop->checks, handle);
}

void uv_close(uv_handle_t *handle, uv_close_cb closed)
{
    struct sim_loop *loop = loop_of(handle->loop);
    assert(!uv_is_closing(handle));
    handle->flags = 1;
    handle->close_cb = closed;
    take(&loop->timers, handle);
    take(&loop->prepares, handle);
    take(&loop->checks, handle);
    if (handle->type == UV_TCP)
        network_close((uv_tcp_t *)handle);
    add(&loop->closing, handle);
    loop_wake(loop);
}
