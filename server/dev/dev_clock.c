/* dev_clock.c - see dev_clock.h. The clock is moved in steps: from each timer that is due to the next one, one turn of
 * the loop for each step. So a timer finds the time that it has asked for, and what it causes is done before the next
 * timer fires. */
#include "server/dev/dev_clock.h"

#include <pthread.h>

#include "common/base/clock.h"
#include "common/base/uv_handle.h"
#include "server/core/hub.h"
#include "server/net/http/connection.h"

enum {
    EXACT_US = 600000000, /* the longest move that stops at each timer */
    STEPS_MAX = 2000,     /* of one move; timers that lie closer together share a step */
    SETTLING_TURNS = 3,   /* a timer of the turn fires in the turn after its step; its mail takes one more */
    PATIENCE_US = 250000, /* real time that clients have to answer pings */
};

/* The process has one clock, which any thread may read. */
static struct {
    pthread_mutex_t lock;
    uint64_t real_us;  /* the last time that the rate or one of the next was set, by the real monotonic clock */
    uint64_t now_us;   /* the clock then */
    uint64_t wall_us;  /* the wall clock then */
    uint64_t timer_us; /* what housekeeping goes by then: it runs as real time does, and is moved as the clock is */
    unsigned rate;
    bool moving; /* by dev_clock_advance: nothing runs as real time does */
} shown = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t real_wall_us; /* what real time says, when the real monotonic clock was 0 */

static uint64_t real_us(void)
{
    return uv_hrtime() / 1000;
}

/* With the lock: sets both clocks to where they are now. */
static void catch_up(void)
{
    uint64_t real = real_us(), passed_us = (real - shown.real_us) * shown.rate;
    shown.timer_us += (real - shown.real_us) * !shown.moving;
    shown.real_us = real;
    shown.now_us += passed_us;
    shown.wall_us += passed_us;
}

static uint64_t now_us(void)
{
    pthread_mutex_lock(&shown.lock);
    uint64_t now = shown.now_us + (real_us() - shown.real_us) * shown.rate;
    pthread_mutex_unlock(&shown.lock);
    return now;
}

static uint64_t timer_us(void)
{
    pthread_mutex_lock(&shown.lock);
    uint64_t now = shown.timer_us + (real_us() - shown.real_us) * !shown.moving;
    pthread_mutex_unlock(&shown.lock);
    return now;
}

static uint64_t wall_ms(void)
{
    pthread_mutex_lock(&shown.lock);
    uint64_t wall_us = shown.wall_us + (real_us() - shown.real_us) * shown.rate;
    pthread_mutex_unlock(&shown.lock);
    return wall_us / 1000;
}

static void set_rate(unsigned rate)
{
    pthread_mutex_lock(&shown.lock);
    catch_up();
    shown.rate = rate;
    pthread_mutex_unlock(&shown.lock);
}

static void set_wall(uint64_t wall_us)
{
    pthread_mutex_lock(&shown.lock);
    catch_up();
    shown.wall_us = wall_us;
    pthread_mutex_unlock(&shown.lock);
}

static void move_to(uint64_t us)
{
    pthread_mutex_lock(&shown.lock);
    catch_up();
    shown.wall_us += us - shown.now_us;
    shown.timer_us += us - shown.now_us;
    shown.now_us = us;
    pthread_mutex_unlock(&shown.lock);
}

/* From here on the ticks of all wheels fall together, so that what happens on the way happens at the same times again.
 */
static void begin_moving(void)
{
    pthread_mutex_lock(&shown.lock);
    catch_up();
    shown.rate = 0;
    shown.moving = true;
    shown.timer_us += WHEEL_TICK_US - shown.timer_us % WHEEL_TICK_US + shown.now_us % WHEEL_TICK_US;
    pthread_mutex_unlock(&shown.lock);
}

static void end_moving(unsigned rate)
{
    pthread_mutex_lock(&shown.lock);
    catch_up();
    shown.rate = rate;
    shown.moving = false;
    pthread_mutex_unlock(&shown.lock);
}

static uint64_t start_wall_us(const struct dev_clock *clock)
{
    return clock->start.has_wall ? clock->start.wall_ms * 1000 : real_wall_us + real_us();
}

void dev_clock_begin(struct dev_clock *clock, const struct dev_clock_start *start)
{
    static const struct clock clocks = {.now_us = now_us, .wall_ms = wall_ms, .timer_us = timer_us};
    real_wall_us = clock_wall_ms() * 1000 - real_us();
    *clock = (struct dev_clock){.start = *start};
    shown.real_us = shown.now_us = shown.timer_us = real_us();
    shown.wall_us = start_wall_us(clock);
    shown.rate = start->rate;
    clock_use(&clocks);
}

void dev_clock_end(void)
{
    clock_use(NULL);
}

/* --- moving ------------------------------------------------------------------------------------------------------ */

/* HTTP goes on in real time: what the clock has gained since the turn before, the deadlines gain too. */
static void postpone_deadlines(struct dev_clock *clock, uint64_t now)
{
    uint64_t real = real_us(), passed_us = now - clock->turned_us, really_us = real - clock->really_turned_us;
    if (passed_us > really_us)
        connection_postpone_all(clock->connections, passed_us - really_us);
    clock->turned_us = now;
    clock->really_turned_us = real;
}

/* Before the hub's timers fire. The timers of the turn wait in real time, and do not know that the clock has been
 * moved, or runs at a rate. */
static void on_turn_begin(struct turn_hook *hook)
{
    struct dev_clock *clock = CONTAINER_OF(hook, struct dev_clock, on_turn);
    postpone_deadlines(clock, clock->turn->now_us);
    turn_follow_clock(clock->turn);
}

static size_t unanswered_pings(const struct hub *hub)
{
    size_t cursor = 0, count = 0;
    for (struct session *session; (session = session_index_next(hub_sessions(hub), &cursor));)
        count += session->state == SESSION_OPEN && session->ping_sent && !session->heard && !session->held;
    return count;
}

/* Between two steps clients have time to answer the pings of the first one. Those that had it once have it no more. */
static bool waits_for_pongs(struct dev_clock *clock)
{
    size_t unanswered = unanswered_pings(clock->hub);
    if (unanswered < clock->given_up)
        clock->given_up = unanswered;
    if (unanswered == clock->given_up) {
        clock->patience_us = 0;
        return false;
    }
    if (!clock->patience_us)
        clock->patience_us = real_us() + PATIENCE_US;
    if (real_us() < clock->patience_us)
        return true;
    clock->given_up = unanswered;
    clock->patience_us = 0;
    return false;
}

static uint64_t min_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void end_move(struct dev_clock *clock, bool whole)
{
    void (*arrived)(void *owner, bool whole) = clock->arrived;
    uv_idle_stop(&clock->stepping);
    clock->arrived = NULL;
    end_moving(clock->rate);
    arrived(clock->owner, whole);
}

/* To the next timer of the hub, and over a short way also to that of the turn. Over a long way timers wait for the end
 * of the step that they fall into. Steps are counted from where the move began, so that timers fire at the same times
 * again. */
static uint64_t next_stop(const struct dev_clock *clock, uint64_t now)
{
    uint64_t due_us = wheel_next_us(hub_wheel(clock->hub));
    if (due_us >= clock->until_us)
        due_us = clock->until_us;
    else if (due_us <= now)
        due_us = now + WHEEL_TICK_US;
    if (clock->step_us)
        return clock->from_us + (due_us - clock->from_us + clock->step_us - 1) / clock->step_us * clock->step_us;
    uint64_t next_us = wheel_next_us(&clock->turn->wheel), at_us = timer_us();
    uint64_t other_us = now + (next_us > at_us ? min_of(next_us - at_us, clock->until_us - now) : WHEEL_TICK_US);
    return min_of(due_us, other_us);
}

static void on_step(uv_idle_t *idle)
{
    struct dev_clock *clock = idle->data;
    uint64_t now = now_us();
    if (waits_for_pongs(clock))
        return;
    if (clock->settling > 0) {
        clock->settling--;
    } else if (now < clock->until_us) {
        move_to(min_of(next_stop(clock, now), clock->until_us));
        clock->settling = SETTLING_TURNS;
    } else {
        end_move(clock, true);
    }
}

void dev_clock_advance(struct dev_clock *clock, uint64_t us, unsigned rate, void (*arrived)(void *owner, bool whole),
                       void *owner)
{
    begin_moving();
    clock->from_us = now_us();
    clock->until_us = clock->from_us + us;
    clock->step_us = us > EXACT_US ? us / STEPS_MAX : 0;
    clock->rate = rate;
    clock->settling = SETTLING_TURNS;
    clock->given_up = 0;
    clock->patience_us = 0;
    clock->arrived = arrived;
    clock->owner = owner;
    uv_idle_start(&clock->stepping, on_step);
}

void dev_clock_stop(struct dev_clock *clock)
{
    if (dev_clock_is_moving(clock))
        end_move(clock, false);
}

bool dev_clock_is_moving(const struct dev_clock *clock)
{
    return clock->arrived != NULL;
}

/* --- the rest ---------------------------------------------------------------------------------------------------- */

void dev_clock_attach(struct dev_clock *clock, struct turn *turn, struct hub *hub, struct connection_set *connections)
{
    clock->turn = turn;
    clock->hub = hub;
    clock->connections = connections;
    uv_idle_init(turn->loop, &clock->stepping);
    clock->stepping.data = clock;
    clock->on_turn.run = on_turn_begin;
    clock->turned_us = turn_now_us(turn);
    clock->really_turned_us = real_us();
    turn_add_first_hook(turn, &clock->on_turn);
}

void dev_clock_detach(struct dev_clock *clock)
{
    if (!clock->turn || uv_is_closing(UV_HANDLE(&clock->stepping)))
        return;
    dev_clock_stop(clock);
    set_rate(1); /* the end of the server has deadlines of its own */
    turn_remove_hook(clock->turn, &clock->on_turn);
    uv_close(UV_HANDLE(&clock->stepping), NULL);
}

void dev_clock_set_wall(struct dev_clock *clock, uint64_t to_ms)
{
    (void)clock;
    set_wall(to_ms * 1000);
}

void dev_clock_set_rate(struct dev_clock *clock, unsigned rate)
{
    (void)clock;
    set_rate(rate);
}

uint64_t dev_clock_wall_ms(const struct dev_clock *clock)
{
    (void)clock;
    return wall_ms();
}

unsigned dev_clock_rate(const struct dev_clock *clock)
{
    return dev_clock_is_moving(clock) ? clock->rate : shown.rate;
}

/* The monotonic clock goes on to a whole second, so that its ticks are the same after each reset. */
void dev_clock_rewind(struct dev_clock *clock)
{
    move_to((now_us() / 1000000 + 1) * 1000000);
    set_rate(clock->start.rate);
    set_wall(start_wall_us(clock));
}
