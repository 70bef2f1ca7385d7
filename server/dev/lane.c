/* lane.c - see lane.h. */
#include "server/dev/lane.h"

#include "common/base/alloc.h"
#include "common/base/random.h"

enum { MICRO = 1000000 };

void lane_init(struct link_lane *lane, const struct lane_ops *ops, struct wheel *wheel)
{
    *lane = (struct link_lane){.ops = ops, .wheel = wheel};
    list_init(&lane->held);
    list_init(&lane->pool);
}

static struct lane_item *item_of(struct list_link *link)
{
    return CONTAINER_OF(link, struct lane_item, link);
}

static void drop_all(struct list_link *list)
{
    for (struct list_link *link; (link = list_take_first(list));)
        free(item_of(link));
}

void lane_fini(struct link_lane *lane)
{
    wheel_stop(lane->wheel, &lane->timer);
    drop_all(&lane->held);
    drop_all(&lane->pool);
    lane->pooled = lane->bytes = 0;
}

bool lane_is_clear(const struct link_lane *lane)
{
    return list_is_empty(&lane->held) && !lane->frozen && lane->bytes_per_s == 0;
}

static struct lane_item *copy(const struct lane_item *item)
{
    bool inside = item->payload.len > 0 && item->payload.ptr >= item->bytes.ptr &&
                  item->payload.ptr + item->payload.len <= item->bytes.ptr + item->bytes.len;
    struct lane_item *own = xmalloc(sizeof *own + item->bytes.len + (inside ? 0 : item->payload.len));
    char *at = (char *)(own + 1);
    *own = *item;
    own->link = (struct list_link){0};
    own->bytes = str_pack(&at, item->bytes);
    own->payload = inside ? str_from(own->bytes.ptr + (item->payload.ptr - item->bytes.ptr), item->payload.len)
                          : str_pack(&at, item->payload);
    return own;
}

/* --- the timer -------------------------------------------------------------------------------------------------- */

static void on_time(struct timer *timer, uint64_t now_us)
{
    struct link_lane *lane = CONTAINER_OF(timer, struct link_lane, timer);
    lane_pump(lane, now_us);
    lane->ops->moved(lane);
}

static void sooner(uint64_t *due_us, uint64_t us)
{
    if (us < *due_us)
        *due_us = us;
}

/* next_us: when the first item that is held may pass; UINT64_MAX: nobody knows. */
static void set_timer(struct link_lane *lane, uint64_t next_us)
{
    if (lane->frozen && lane->thaw_us)
        sooner(&next_us, lane->thaw_us);
    if (lane->pooled)
        sooner(&next_us, lane->pool_us);
    if (next_us == UINT64_MAX)
        wheel_stop(lane->wheel, &lane->timer);
    else
        wheel_start(lane->wheel, &lane->timer, next_us, on_time);
}

/* --- speed ------------------------------------------------------------------------------------------------------ */

/* What may pass at once after a silence: a fiftieth of a second, and at least one byte. */
static uint64_t burst(const struct link_lane *lane)
{
    uint64_t most = lane->bytes_per_s * (MICRO / 50);
    return most > MICRO ? most : MICRO;
}

static void earn(struct link_lane *lane, uint64_t now_us)
{
    uint64_t most = burst(lane), passed_us = now_us - lane->credited_us;
    lane->credited_us = now_us;
    if (passed_us > MICRO || lane->credit + passed_us * lane->bytes_per_s > most)
        lane->credit = most;
    else
        lane->credit += passed_us * lane->bytes_per_s;
}

/* How much of so many bytes may pass now. 0: *out_next_us says when to look again. */
static size_t afford(const struct link_lane *lane, size_t bytes, uint64_t now_us, uint64_t *out_next_us)
{
    if (lane->bytes_per_s == 0 || bytes == 0)
        return bytes;
    uint64_t most = lane->credit / MICRO;
    if (most == 0)
        *out_next_us = now_us + (MICRO - lane->credit) / lane->bytes_per_s + 1;
    return most < bytes ? (size_t)most : bytes;
}

static void pay(struct link_lane *lane, size_t bytes)
{
    if (lane->bytes_per_s)
        lane->credit -= (uint64_t)bytes * MICRO;
}

/* --- passing ---------------------------------------------------------------------------------------------------- */

/* Passes the next part of the first item. False: nothing may pass now. */
static bool pass_some(struct link_lane *lane, struct lane_item *item, uint64_t now_us, uint64_t *out_next_us)
{
    size_t left = item->bytes.len - item->passed;
    size_t count = afford(lane, left, now_us, out_next_us);
    if (count == 0 && left > 0)
        return false;
    pay(lane, count);
    lane->bytes -= count;
    if (count == left)
        list_remove(&item->link);
    lane->ops->pass(lane, item, count);
    item->passed += count;
    if (count == left)
        free(item);
    return true;
}

static void shuffle(struct lane_item **items, size_t count)
{
    bool moved = false;
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)random_below(i);
        struct lane_item *item = items[i - 1];
        items[i - 1] = items[other];
        items[other] = item;
        moved |= other != i - 1;
    }
    if (moved || count < 2)
        return;
    struct lane_item *first = items[0];
    items[0] = items[1];
    items[1] = first;
}

static void empty_pool(struct link_lane *lane)
{
    size_t count = 0;
    struct lane_item **items = xmalloc((lane->pooled + 1) * sizeof *items);
    for (struct list_link *link; (link = list_take_first(&lane->pool));)
        items[count++] = item_of(link);
    shuffle(items, count);
    for (size_t i = 0; i < count; i++)
        list_append(&lane->held, &items[i]->link);
    lane->pooled = 0;
    free(items);
}

void lane_pump(struct link_lane *lane, uint64_t now_us)
{
    uint64_t next_us = UINT64_MAX;
    if (lane->frozen && lane->thaw_us && lane->thaw_us <= now_us)
        lane->frozen = false;
    if (lane->pooled && lane->pool_us <= now_us)
        empty_pool(lane);
    earn(lane, now_us);
    while (!list_is_empty(&lane->held) && !lane->frozen && lane->ops->ready(lane)) {
        struct lane_item *item = item_of(lane->held.next);
        if (item->due_us > now_us)
            next_us = item->due_us;
        if (item->due_us > now_us || !pass_some(lane, item, now_us, &next_us))
            break;
    }
    set_timer(lane, next_us);
}

void lane_wake(struct link_lane *lane, uint64_t now_us)
{
    if (!list_is_empty(&lane->held))
        wheel_start(lane->wheel, &lane->timer, now_us, on_time);
}

void lane_put(struct link_lane *lane, const struct lane_item *item, uint64_t now_us)
{
    if (item->opcode == WS_CLOSE && lane->pooled)
        empty_pool(lane);
    if (lane_is_clear(lane) && item->due_us <= now_us && lane->ops->ready(lane)) {
        lane->ops->pass(lane, item, item->bytes.len);
        return;
    }
    list_append(&lane->held, &copy(item)->link);
    lane->bytes += item->bytes.len;
    lane_pump(lane, now_us);
}

void lane_pool(struct link_lane *lane, const struct lane_item *item, size_t window, uint64_t within_us, uint64_t now_us)
{
    list_append(&lane->pool, &copy(item)->link);
    lane->bytes += item->bytes.len;
    if (lane->pooled++ == 0)
        lane->pool_us = now_us + within_us;
    if (lane->pooled >= window)
        empty_pool(lane);
    lane_pump(lane, now_us);
}

/* --- faults of the whole lane ----------------------------------------------------------------------------------- */

void lane_freeze(struct link_lane *lane, uint64_t for_us, uint64_t now_us)
{
    lane->frozen = true;
    lane->thaw_us = for_us == UINT64_MAX ? 0 : now_us + for_us;
    lane_pump(lane, now_us);
}

void lane_thaw(struct link_lane *lane, uint64_t now_us)
{
    lane->frozen = false;
    lane_pump(lane, now_us);
}

void lane_throttle(struct link_lane *lane, uint64_t bytes_per_s, uint64_t now_us)
{
    lane->bytes_per_s = bytes_per_s;
    lane->credit = 0;
    lane->credited_us = now_us;
    lane_pump(lane, now_us);
}

void lane_calm(struct link_lane *lane, uint64_t now_us)
{
    lane->frozen = false;
    if (lane->pooled)
        empty_pool(lane);
    LIST_EACH(link, &lane->held)
    item_of(link)->due_us = 0;
    lane_throttle(lane, 0, now_us);
}
