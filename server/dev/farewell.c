/* farewell.c - see farewell.h. */
#include "server/dev/farewell.h"

#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/uv_handle.h"
#include "server/net/stream/stream.h"
#include "server/net/ws/ws.h"

enum { PATIENCE_MS = 1000 };

struct farewell {
    struct stream stream;
    struct farewells *all;
    bool answered; /* something has come */
    bool shut;     /* the client has been told that nothing more is written */
    struct list_link link;
    uint64_t until_ms; /* uv_now */
};

static struct farewell *of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct farewell, stream);
}

static void shut(struct farewell *farewell)
{
    if (farewell->shut || !farewell->answered || stream_has_unsent(&farewell->stream))
        return;
    farewell->shut = true;
    stream_shut(&farewell->stream);
}

/* The answer to the close frame, or what was on its way before it. */
static void on_input(struct stream *stream, struct str bytes)
{
    (void)bytes;
    of(stream)->answered = true;
    if (!of(stream)->all->busy)
        shut(of(stream));
}

/* The answer to the close frame is still to come. */
static void on_drained(struct stream *stream)
{
    (void)stream;
}

static void on_gone(struct stream *stream)
{
    list_remove(&of(stream)->link);
    free(of(stream));
}

static const struct stream_ops operations = {.input = on_input, .drained = on_drained, .gone = on_gone};

static void await_oldest(struct farewells *farewells);

static void on_time(uv_timer_t *timer)
{
    struct farewells *farewells = timer->data;
    LIST_EACH(link, &farewells->all)
    {
        struct farewell *farewell = CONTAINER_OF(link, struct farewell, link);
        if (farewell->until_ms > uv_now(timer->loop))
            break;
        list_remove(link);
        stream_cut(&farewell->stream);
    }
    await_oldest(farewells);
}

static void await_oldest(struct farewells *farewells)
{
    if (list_is_empty(&farewells->all))
        return;
    uint64_t until_ms = CONTAINER_OF(farewells->all.next, struct farewell, link)->until_ms;
    uint64_t now_ms = uv_now(farewells->timer.loop);
    uv_timer_start(&farewells->timer, on_time, until_ms > now_ms ? until_ms - now_ms : 0, 0);
}

void farewells_init(struct farewells *farewells, uv_loop_t *loop)
{
    list_init(&farewells->all);
    uv_timer_init(loop, &farewells->timer);
    farewells->timer.data = farewells;
}

void farewells_end(struct farewells *farewells)
{
    if (!farewells->timer.data || uv_is_closing(UV_HANDLE(&farewells->timer)))
        return;
    for (struct list_link *link; (link = list_take_first(&farewells->all));)
        stream_cut(&CONTAINER_OF(link, struct farewell, link)->stream);
    uv_close(UV_HANDLE(&farewells->timer), NULL);
}

void farewell_begin(struct farewells *farewells, struct session *session)
{
    struct farewell *farewell = xcalloc(1, sizeof *farewell);
    farewell->all = farewells;
    farewells->busy = true;
    ws_part(session, &farewell->stream, &operations);
    stream_want_input(&farewell->stream, true);
    farewell->until_ms = uv_now(farewells->timer.loop) + PATIENCE_MS;
    list_append(&farewells->all, &farewell->link);
    if (!uv_is_active(UV_HANDLE(&farewells->timer)))
        await_oldest(farewells);
}

void farewells_go_on(struct farewells *farewells)
{
    farewells->busy = false;
    LIST_EACH(link, &farewells->all)
    shut(CONTAINER_OF(link, struct farewell, link));
}
