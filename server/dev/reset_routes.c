/* reset_routes.c - POST /dev/v1/reset empties everything in one call, as if the server had just been started. */
#include "common/base/alloc.h"
#include "common/base/seeded.h"
#include "server/broker/memory/memory_broker.h"
#include "server/dev/dev_json.h"
#include "server/dev/dev_private.h"
#include "server/dev/dev_route.h"
#include "server/dev/line_step.h"
#include "server/node/node.h"

/* How long clients may take to let the close frame through. Then their connections are cut. */
enum { PATIENCE_MS = 20, GIVE_UP_MS = 1000 };
/* So many rounds of mail take a question from the hub by the node to the broker, and its answer back. */
enum { ROUNDS = 4 };

/* What stays, as a set. */
enum keep { KEEP_SESSIONS = 1, KEEP_HISTORIES = 2, KEEP_RULES = 4, KEEP_JOURNAL = 8, KEEP_CLOCK = 16 };

static const char *const keep_names[] = {"sessions", "histories", "rules", "journal", "clock"};

struct reset {
    struct held_call held;
    struct dev *dev;
    unsigned keep;
    size_t ended; /* sessions */
    enum { WAITS_FOR_SESSIONS, SESSIONS_GONE, MEMBERS_GONE } stage;
    int rounds; /* of mail in this stage */
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

static void bring_channels_back(struct dev *dev)
{
    struct buf messages = {0};
    if (dev->has_other_channels)
        dev->parts.set_channels(dev->parts.server, STR(""), &messages);
    dev->has_other_channels = false;
    buf_fini(&messages);
}

/* The seed comes last: what is drawn for channels that stay does not change what comes afterwards. */
static void empty(struct dev *dev, unsigned keep)
{
    if (!(keep & KEEP_HISTORIES)) {
        memory_broker_empty(dev->broker.inner);
        revocations_clear(dev->parts.node->revocations);
    }
    dev->parts.forget_ticket_rates(dev->parts.server);
    if (!(keep & KEEP_RULES)) {
        fault_rules_rewind(&dev->lines.rules);
        bring_channels_back(dev);
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
    struct dev *dev = reset->dev;
    held_call_end(held); /* before its own line */
    empty(dev, reset->keep);
    buf_appendf(&call->response.body, "{\"closed\":%zu}", reset->ended);
    dev_answer(call);
    farewells_go_on(&dev->farewells);
}

/* Nobody is to hear that the members leave: there are no clients, and no lifecycle events. So they are forgotten at
 * once. The broker would take as long to be told of each as all the rest takes. */
static bool forgets_members(const struct reset *reset)
{
    const struct dev *dev = reset->dev;
    return !(reset->keep & (KEEP_SESSIONS | KEEP_HISTORIES)) && dev->broker.mode == DEV_BROKER_UP &&
           !lifecycle_is_on(dev->parts.node->lifecycle);
}

static void forget_members(struct dev *dev)
{
    presence_forget(dev->parts.node->presence);
    memory_broker_forget_members(dev->broker.inner);
}

/* Lets go of the sessions whose close frame has been written. */
static void part(struct dev *dev)
{
    size_t cursor = 0;
    for (struct session *session; (session = session_index_next(hub_sessions(dev->parts.hub), &cursor));)
        if (session->state == SESSION_CLOSING && session->finished && !session->cut)
            farewell_begin(&dev->farewells, session);
}

static bool sessions_are_gone(const struct reset *reset)
{
    if (reset->keep & KEEP_SESSIONS)
        return true;
    part(reset->dev);
    return hub_sessions(reset->dev->parts.hub)->count == 0;
}

/* A close frame has been written, a session has ended, or a round of mail is over. The next stage begins once the mail
 * of this one has been answered. All is done in one turn: clients that answer meanwhile do not hold it up. */
static void look(struct held_call *held)
{
    struct reset *reset = reset_of(held);
    if (reset->stage == WAITS_FOR_SESSIONS && !sessions_are_gone(reset))
        return;
    if (reset->stage != WAITS_FOR_SESSIONS && ++reset->rounds < ROUNDS) {
        held_call_look_again(held);
        return;
    }
    reset->rounds = 0;
    switch (reset->stage++) {
    case WAITS_FOR_SESSIONS: hub_leave_unused(reset->dev->parts.hub); break;
    case SESSIONS_GONE:
        if (forgets_members(reset)) {
            forget_members(reset->dev);
            finish(held);
            return;
        }
        presence_hurry(reset->dev->parts.node->presence);
        break;
    case MEMBERS_GONE: finish(held); return;
    }
    held_call_look_again(held);
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
    if (held->set->ending || held_call_age_ms(held) >= GIVE_UP_MS) {
        finish(held);
    } else {
        if (!(reset->keep & KEEP_SESSIONS))
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
    } else {
        struct reset *reset = xcalloc(1, sizeof *reset);
        reset->held = (struct held_call){.call = call, .look = look, .expire = on_time};
        reset->dev = dev;
        reset->keep = keep;
        if (!(keep & KEEP_RULES))
            fault_rules_empty(&dev->lines.rules); /* none of them acts on the ends */
        if (!(keep & KEEP_JOURNAL) && !journal_is_heard(&dev->journal))
            journal_mute(&dev->journal); /* its lines would be emptied, and nobody reads them before */
        dev_clock_stop(&dev->clock);
        dev_broker_rewind(&dev->broker);
        lines_calm(&dev->lines);
        if (!(keep & KEEP_SESSIONS)) {
            line_step_turn_away(&dev->lines);
            reset->ended = end_sessions(dev->parts.hub);
        }
        held_call_begin(&dev->held, &reset->held, PATIENCE_MS);
    }
}

const struct dev_route reset_routes[] = {{"POST", "/dev/v1/reset", order}, {0}};
