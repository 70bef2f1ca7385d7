/* catchup_rig.c - see catchup_rig.h. */
#include "tests/unit/node/catchup_rig.h"

#include <inttypes.h>
#include <stdio.h>

#include "tests/support/unit.h"

struct rig rig;

/* --- what catchup says ------------------------------------------------------------------------------------------ */

static void on_post(void *owner, struct catchup *catchup, struct message *message)
{
    (void)owner;
    if (message->offset)
        assert_int_equal(message->offset, catchup->offset);
    buf_appendf(&rig.said, "post:%" PRIu64 " ", message->offset);
    message_unref(message);
}

static void on_gap(void *owner, struct catchup *catchup, enum gap gap)
{
    (void)owner;
    buf_appendf(&rig.said, "gap:%s:%s:%" PRIu64 " ", gap_text(gap), catchup->epoch, catchup->offset);
}

static void on_interrupted(void *owner, struct catchup *catchup)
{
    (void)owner;
    (void)catchup;
    buf_append(&rig.said, STR("interrupted "));
}

static void on_replay(void *owner, struct catchup *catchup, struct list_link *recoveries, uint64_t first, size_t count)
{
    (void)owner;
    assert_false(list_is_empty(recoveries));
    for (struct list_link *link; (link = list_take_first(recoveries));) {
        struct recovery *recovery = recovery_in(link);
        if (recovery->outcome == RECOVERY_LOST)
            buf_appendf(&rig.said, "lost%" PRIu64 ":%s ", recovery->serial, gap_text(recovery->gap));
        else
            buf_appendf(&rig.said, "found%" PRIu64 ":%" PRIu64 " ", recovery->serial, recovery->offset);
        request_destroy(&recovery->base);
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(catchup_message(catchup, first + i)->offset, first + i);
    if (count)
        buf_appendf(&rig.said, "with:%" PRIu64 "-%" PRIu64 " ", first, first + count - 1);
}

/* The read gets its turn. */
void begin_read(void)
{
    if (catchup_begin_read(&rig.catchup, rig.number, &rig.after))
        buf_appendf(&rig.said, "after:%" PRIu64 " ", rig.after);
    else
        buf_append(&rig.said, STR("unwanted "));
}

static void on_read(void *owner, struct catchup *catchup, uint64_t number)
{
    (void)owner;
    (void)catchup;
    rig.number = number;
    buf_appendf(&rig.said, "read%" PRIu64 " ", number);
    if (!rig.reads_wait)
        begin_read();
}

static const struct catchup_ops ops = {
    .post = on_post, .gap = on_gap, .interrupted = on_interrupted, .replay = on_replay, .read = on_read};

void expect(const char *said)
{
    if (rig.said.len && rig.said.ptr[rig.said.len - 1] == ' ')
        rig.said.len--;
    buf_append_char(&rig.said, '\0');
    assert_string_equal(rig.said.ptr, said);
    buf_clear(&rig.said);
}

/* --- what comes in ---------------------------------------------------------------------------------------------- */

static struct str id_of(uint64_t offset)
{
    static char id[32];
    return str_from(id, (size_t)snprintf(id, sizeof id, "%s-%" PRIu64, rig.past, offset));
}

static struct event event_of(const char *epoch, uint64_t offset)
{
    return (struct event){.channel = STR("log:a"),
                          .type = STR("note"),
                          .id = id_of(offset),
                          .epoch = str_from_cstr(epoch),
                          .offset = offset,
                          .timestamp = STR("t"),
                          .data = STR("1")};
}

void event_in(const char *epoch, uint64_t offset)
{
    struct event event = event_of(epoch, offset);
    if (rig.last < offset)
        rig.last = offset;
    catchup_event(&rig.catchup, &event, 1);
}

void event(uint64_t offset)
{
    event_in(rig.epoch, offset);
}

/* The broker tells where the history of the model ends. */
void position(void)
{
    struct position now = {str_from_cstr(rig.epoch), rig.last, rig.last ? id_of(rig.last) : STR("")};
    catchup_position(&rig.catchup, &now);
    catchup_advance(&rig.catchup);
}

void located(void)
{
    struct position now = {str_from_cstr(rig.epoch), rig.last, STR("")};
    if (catchup_located(&rig.catchup, &now))
        catchup_advance(&rig.catchup);
}

/* The page of the last read, as the model is now. */
struct history_read *make_page(void)
{
    struct history_read *page = history_read_create(STR("log:a"), STR(""));
    uint64_t offset = rig.after + 1 > rig.first ? rig.after + 1 : rig.first;
    page->number = rig.number;
    strcpy(page->epoch, rig.epoch);
    page->offset = rig.last;
    if (rig.last)
        position_keep_id(page->id, id_of(rig.last));
    if (rig.knows_before)
        position_keep_id(page->before_id, id_of(rig.first - 1));
    for (; offset <= rig.last && page->count < CATCHUP_PAGE_EVENTS; offset++) {
        struct event event = event_of(rig.epoch, offset);
        history_read_add(page, &event);
    }
    return page;
}

void give_page(struct history_read *page)
{
    catchup_page(&rig.catchup, page, 1);
    request_destroy(&page->base);
}

void answer(void)
{
    give_page(make_page());
}

void fail_read(enum err err)
{
    struct history_read *page = history_read_create(STR("log:a"), STR(""));
    page->number = rig.number;
    request_fail(&page->base, err, "no");
    give_page(page);
}

/* epoch "": the last events, as many as offset says. id NULL: none. */
void ask(unsigned worker, const char *epoch, uint64_t offset, const char *id)
{
    struct recovery *recovery = recovery_create(STR("log:a"));
    recovery->base.session.worker = worker;
    recovery->serial = ++rig.recoveries;
    strcpy(recovery->epoch, epoch);
    if (epoch[0])
        recovery->offset = offset;
    else
        recovery->last = offset;
    if (id)
        strcpy(recovery->id, id);
    catchup_recover(&rig.catchup, recovery);
}

void recover(const char *epoch, uint64_t offset, const char *id)
{
    ask(0, epoch, offset, id);
    catchup_serve_due(&rig.set);
}

void tick_as(uint64_t ms, bool broker_is_up)
{
    rig.now_us += ms * 1000;
    catchup_tick(&rig.set, rig.now_us, broker_is_up);
}

void tick(uint64_t ms)
{
    tick_as(ms, true);
}

/* --- the rig ---------------------------------------------------------------------------------------------------- */

int catchup_rig_setup(void **state)
{
    (void)state;
    rig = (struct rig){.epoch = "e", .first = 1, .last = 5, .past = "p"};
    catchup_set_init(&rig.set, &ops, &rig);
    rig.set.budget.bytes_max = 1 << 20;
    catchup_init(&rig.catchup, &rig.set, true);
    return 0;
}

/* The channel is at offset 5. */
int catchup_rig_setup_at_five(void **state)
{
    catchup_rig_setup(state);
    position();
    return 0;
}

int catchup_rig_teardown(void **state)
{
    (void)state;
    expect(""); /* each test has said what it expects */
    catchup_fini(&rig.catchup);
    assert_int_equal(rig.set.budget.bytes, 0);
    assert_true(list_is_empty(&rig.set.busy));
    assert_true(list_is_empty(&rig.set.due));
    buf_fini(&rig.said);
    return 0;
}
