/* dev_server.c - see dev_server.h. Here: the parts, and how the server is connected to them. */
#include "server/dev/dev_server.h"

#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/seeded.h"
#include "server/dev/dev_private.h"
#include "server/dev/dev_route.h"
#include "server/node/node.h"

static void on_sink(void *owner, const struct broker_sink **sink, void **sink_owner)
{
    struct dev *dev = owner;
    dev_broker_take_sink(&dev->broker, sink, sink_owner);
}

static struct broker *on_broker(void *owner, struct broker *broker, struct turn *turn)
{
    struct dev *dev = owner;
    return dev_broker_wrap(&dev->broker, broker, turn);
}

static void on_made(void *owner, const struct server_parts *parts)
{
    struct dev *dev = owner;
    dev->parts = *parts;
    dev->broker.wheel = hub_wheel(parts->hub);
    dev->held.mailbox = hub_replies(parts->hub);
    farewells_init(&dev->farewells, parts->node->turn.loop);
    dev_clock_attach(&dev->clock, &parts->node->turn, parts->hub, parts->connections);
    watch_start(&dev->watch, &dev->journal, parts->hub);
    lines_start(&dev->lines, parts->hub);
    if (dev->shows_terminal)
        terminal_start(&dev->terminal, &dev->journal, &parts->node->turn);
}

/* One line for the same refusal again and again: a page of elsewhere cannot push out what is in the journal. */
static void note_refusal(struct dev *dev, struct str text)
{
    struct journal *journal = &dev->journal;
    struct journal_line newest;
    if (journal->count && journal_after(journal, journal->last - 1, &newest) && newest.note.kind == JOURNAL_REFUSED &&
        newest.note.code == 403 && str_eq(newest.note.text, text))
        return;
    journal_add(journal, hub_wall_ms(dev->parts.hub),
                &(struct journal_note){.kind = JOURNAL_REFUSED, .code = 403, .text = text});
}

static bool on_admit(void *owner, struct http_call *call)
{
    struct dev *dev = owner;
    struct error error;
    if (guard_check(&dev->guard, &call->request, &error) == ERR_NONE)
        return true;
    note_refusal(dev, str_from_cstr(error.text));
    dev_refuse(call, 403, &error);
    return false;
}

void dev_show_terminal(struct dev *dev)
{
    dev->shows_terminal = true;
}

void dev_guard(struct dev *dev, const struct server_addresses *addresses, bool allow_remote)
{
    const char *port = strrchr(addresses->internal, ':');
    dev->guard = (struct guard){.port = (uint16_t)strtoul(port + 1, NULL, 10), .allow_remote = allow_remote};
}

void dev_tell_facts(struct dev *dev, struct str json)
{
    buf_append(&dev->facts, json);
}

static void on_ending(void *owner)
{
    struct dev *dev = owner;
    held_calls_expire(&dev->held);
    farewells_end(&dev->farewells);
    dev_clock_detach(&dev->clock);
}

struct dev *dev_create(const struct dev_start *start)
{
    struct dev *dev = xcalloc(1, sizeof *dev);
    dev->start = *start;
    dev_clock_begin(&dev->clock, &start->clock);
    if (start->has_seed)
        seeded_use(start->seed);
    journal_init(&dev->journal);
    held_calls_init(&dev->held, &dev->journal);
    dev_broker_init(&dev->broker, &dev->journal);
    lines_init(&dev->lines, &dev->journal, &dev->broker);
    dev->hooks = (struct server_hooks){.owner = dev,
                                       .transport = &dev->lines.transport,
                                       .sink = on_sink,
                                       .broker = on_broker,
                                       .fault_step = &dev->lines.step,
                                       .admit = on_admit,
                                       .made = on_made,
                                       .ending = on_ending};
    return dev;
}

void dev_destroy(struct dev *dev)
{
    terminal_fini(&dev->terminal);
    dev_clock_end();
    lines_fini(&dev->lines);
    journal_fini(&dev->journal);
    buf_fini(&dev->facts);
    free(dev);
}

const struct server_hooks *dev_hooks(const struct dev *dev)
{
    return &dev->hooks;
}

const struct server_parts *dev_parts(const struct dev *dev)
{
    return &dev->parts;
}

uint64_t dev_number(struct dev *dev)
{
    return ++dev->number;
}
