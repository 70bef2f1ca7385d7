/* reset_routes.c - POST /dev/v1/reset empties everything in one call, as if the server had just been started. */
#include "common/base/alloc.h"
#include "common/base/seeded.h"
#include "server/broker/memory/memory_broker.h"
#include "server/dev/dev_http.h"
#include "server/dev/dev_json.h"
#include "server/dev/dev_private.h"
#include "server/node/node.h"

/* How long clients may take to answer the close frame. Then their connections are cut. */
enum { PATIENCE_MS = 20, GIVE_UP_MS = 1000 };

/* What stays, as a set. */
enum keep { KEEP_SESSIONS = 1, KEEP_HISTORIES = 2, KEEP_RULES = 4, KEEP_JOURNAL = 8, KEEP_CLOCK = 16 };

static const char *const keep_names[] = {"sessions", "histories", "rules", "journal", "clock"};

struct reset {
    struct held_call held;
    struct dev *dev;
    unsigned keep;
    size_t ended; /* sessions */
    enum { WAITS_FOR_SESSIONS, SESSIONS_GONE, MEMBERS_GONE } stage;
};

static struct reset *reset_of(struct held_call *held)
{
    return CONTAINER_OF(held, struct reset, held);
}

static enum err read_keep(struct str body, unsigned *out, struct error *error)
{
    struct json_value list = {0}, item;
    const struct json_field fields[] = {{"keep", JSON_ARRAY, false, &list}};
    struct str none;
    enum err err = dev_json_bind(body, fields, 1, error);
    struct json_cursor cursor = json_walk(list);
    *out = 0;
    while (err == ERR_NONE && list.type && json_next(&cursor, &none, &item)) {
        size_t i = 0, count = sizeof keep_names / sizeof *keep_names;
        while (i < count && !(item.type == JSON_STRING &&
                              json_key_is(str_from(item.raw.ptr + 1, item.raw.len - 2), str_from_cstr(keep_names[i]))))
            i++;
        char quoted[ERROR_QUOTE_LEN];
        if (i == count)
            err = error_set(error, ERR_INVALID_REQUEST,
                            "keep: %s is not known; expected sessions, histories, rules, journal or clock",
                            error_quote(item.raw, quoted));
        else
            *out |= 1u << i;
    }
    return err;
}

/* The seed comes last: what is drawn for channels that stay does not change what comes afterwards. */
static void empty(struct dev *dev, unsigned keep)
{
    if (dev->broker.mode != DEV_BROKER_UP)
        dev_broker_set(&dev->broker, DEV_BROKER_UP, 0, 0);
    if (!(keep & KEEP_HISTORIES)) {
        memory_broker_empty(dev->broker.inner);
        revocations_clear(dev->parts.node->revocations);
    }
    if (!(keep & KEEP_RULES)) {
        fault_rules_rewind(&dev->lines.rules);
        struct buf messages = {0};
        dev->parts.set_channels(dev->parts.server, STR(""), &messages);
        buf_fini(&messages);
    }
    if (!(keep & KEEP_CLOCK)) {
        dev->number = 0;
        dev_clock_rewind(&dev->clock); /* timers that run are for nobody now */
        if (dev->start.has_seed)
            seeded_rewind(dev->start.seed);
    }
    if (!(keep & KEEP_JOURNAL))
        journal_rewind(&dev->journal);
    journal_add(&dev->journal, dev_clock_wall_ms(&dev->clock), &(struct journal_note){.kind = JOURNAL_RESET});
}

static void finish(struct held_call *held)
{
    struct reset *reset = reset_of(held);
    struct http_call *call = held->call;
    held_call_end(held); /* before its own line */
    empty(reset->dev, reset->keep);
    buf_appendf(&call->response.body, "{\"closed\":%zu}", reset->ended);
    dev_answer(call);
}

/* A session has ended, it may be the last one. */
static void look(struct held_call *held)
{
    struct reset *reset = reset_of(held);
    if (reset->stage != WAITS_FOR_SESSIONS ||
        (!(reset->keep & KEEP_SESSIONS) && hub_sessions(reset->dev->parts.hub)->count > 0))
        return;
    reset->stage = SESSIONS_GONE;
    hub_leave_unused(reset->dev->parts.hub);
    held_call_extend(held, 0);
}

static void cut_sessions(struct hub *hub)
{
    size_t cursor = 0;
    for (struct session *session; (session = session_index_next(hub_sessions(hub), &cursor));)
        if (session->state != SESSION_GONE)
            session->ops->finish(session, true);
}

static void on_time(struct held_call *held)
{
    struct reset *reset = reset_of(held);
    if (reset->stage == MEMBERS_GONE || held->set->ending || held_call_age_ms(held) >= GIVE_UP_MS) {
        finish(held);
    } else if (reset->stage == SESSIONS_GONE) { /* the node has heard by mail who has left which channel */
        reset->stage = MEMBERS_GONE;
        presence_hurry(reset->dev->parts.node->presence);
        held_call_extend(held, 0);
    } else {
        cut_sessions(reset->dev->parts.hub);
        held_call_extend(held, GIVE_UP_MS);
    }
}

static size_t end_sessions(struct hub *hub)
{
    size_t cursor = 0, count = 0;
    for (struct session *session; (session = session_index_next(hub_sessions(hub), &cursor)); count++)
        session_end_with(session, 1012, STR("reset"));
    return count;
}

static void order(struct dev *dev, struct http_call *call, struct str rest)
{
    struct error error;
    unsigned keep;
    (void)rest;
    if (read_keep(call->request.body, &keep, &error)) {
        dev_refuse(call, 400, &error);
    } else if (!(keep & KEEP_HISTORIES) && *dev->parts.options->redis_url) {
        error_set(&error, ERR_CONFLICT,
                  "the histories are in Redis, which this call does not empty; keep them: {\"keep\":[\"histories\"]}");
        dev_refuse(call, 409, &error);
    } else if (dev_clock_is_moving(&dev->clock)) {
        error_set(&error, ERR_CONFLICT, "the clock is still being moved by an earlier order");
        dev_refuse(call, 409, &error);
    } else {
        struct reset *reset = xcalloc(1, sizeof *reset);
        reset->held = (struct held_call){.call = call, .look = look, .expire = on_time};
        reset->dev = dev;
        reset->keep = keep;
        if (!(keep & KEEP_RULES))
            fault_rules_empty(&dev->lines.rules); /* none of them acts on the ends */
        lines_calm(&dev->lines);
        reset->ended = keep & KEEP_SESSIONS ? 0 : end_sessions(dev->parts.hub);
        held_call_begin(&dev->held, &reset->held, PATIENCE_MS);
    }
}

const struct dev_route reset_routes[] = {{"POST", "/dev/v1/reset", order}, {0}};
