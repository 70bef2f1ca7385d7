/* network.c - see network.h. */
#include "tests/sim/network.h"

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "tests/sim/redis.h"
#include "tests/sim/world.h"

enum { DELAY_MIN_US = 40, SEND_BUFFER_BYTES = 65536 };

enum chunk_kind { CHUNK_BYTES, CHUNK_END, CHUNK_RESET };

struct chunk {
    struct chunk *next;
    uint64_t due_us;
    enum chunk_kind kind;
    size_t len;
    char bytes[];
};

struct flow {
    struct chunk *first;
    struct chunk *last;
    uint64_t last_due_us;
    size_t bytes;
};

enum direction { TO_REDIS, TO_NODE };

struct wire {
    struct list_link link; /* in network.wires */
    uint64_t number;
    struct sim_loop *loop;
    uv_tcp_t *tcp;         /* NULL: the node has closed it */
    uv_connect_t *connect; /* not answered yet */
    uv_alloc_cb alloc;
    uv_read_cb read; /* NULL: not reading */
    uv_write_t *writing;
    uv_buf_t left;               /* of what is being written */
    struct redis_client *client; /* NULL: Redis has no such client (any more) */
    struct flow flows[2];
};

static struct network {
    struct list_link wires;
    uint64_t wires_made;
    uint64_t delay_max_us;
    uint64_t paused_until_us;
    bool refuse;
} network;

static struct wire *wire_of(const uv_tcp_t *tcp)
{
    return tcp->u.reserved[0];
}

static uint64_t delay_us(void)
{
    return DELAY_MIN_US + world_below(CHANCE_NETWORK, network.delay_max_us);
}

static uint64_t blocked_until_us(const struct wire *wire, enum direction direction)
{
    uint64_t until_us = wire->loop->cut_off_until_us;
    if (direction == TO_REDIS && network.paused_until_us > until_us)
        until_us = network.paused_until_us;
    return until_us;
}

/* ---- flows ---- */

static void pump(void *owner, uint64_t direction);

static void append(struct wire *wire, enum direction direction, enum chunk_kind kind, struct str bytes)
{
    struct flow *flow = &wire->flows[direction];
    struct chunk *chunk = xmalloc(sizeof *chunk + bytes.len);
    uint64_t due_us = world_now_us() + delay_us();
    if (due_us < flow->last_due_us)
        due_us = flow->last_due_us;
    *chunk = (struct chunk){.due_us = due_us, .kind = kind, .len = bytes.len};
    if (bytes.len)
        memcpy(chunk->bytes, bytes.ptr, bytes.len);
    if (flow->last)
        flow->last->next = chunk;
    else
        flow->first = chunk;
    flow->last = chunk;
    flow->last_due_us = due_us;
    flow->bytes += bytes.len;
    world_at(due_us, pump, wire, direction);
}

static struct chunk *take_chunk(struct flow *flow)
{
    struct chunk *chunk = flow->first;
    flow->first = chunk->next;
    if (!flow->first)
        flow->last = NULL;
    flow->bytes -= chunk->len;
    return chunk;
}

static void clear(struct flow *flow)
{
    while (flow->first)
        free(take_chunk(flow));
}

/* Some of what is on its way at the end of a connection is lost. */
static void lose_tail(struct flow *flow)
{
    size_t count = 0;
    for (struct chunk *chunk = flow->first; chunk; chunk = chunk->next)
        count++;
    if (count == 0 || world_percent(CHANCE_NETWORK, 30))
        return;
    size_t keep = world_below(CHANCE_NETWORK, count + 1);
    struct flow kept = {.last_due_us = flow->last_due_us};
    for (size_t i = 0; flow->first; i++) {
        struct chunk *chunk = take_chunk(flow);
        if (i >= keep) {
            free(chunk);
            continue;
        }
        chunk->next = NULL;
        if (kept.last)
            kept.last->next = chunk;
        else
            kept.first = chunk;
        kept.last = chunk;
        kept.bytes += chunk->len;
    }
    *flow = kept;
}

/* ---- to the node ---- */

static void end_reading(struct wire *wire, int status)
{
    if (!wire->tcp || !wire->read)
        return;
    uv_buf_t none = {0};
    wire->read((uv_stream_t *)wire->tcp, status, &none);
}

static void read_input(void *owner, void *argument)
{
    struct wire *wire = owner;
    struct chunk *chunk = argument;
    if (chunk->kind != CHUNK_BYTES)
        end_reading(wire, chunk->kind == CHUNK_END ? UV_EOF : UV_ECONNRESET);
    for (size_t at = 0; at < chunk->len && wire->tcp && wire->read;) {
        uv_buf_t into;
        wire->alloc((uv_handle_t *)wire->tcp, 65536, &into);
        size_t len = chunk->len - at < into.len ? chunk->len - at : into.len;
        if (len > 1 && world_percent(CHANCE_NETWORK, 5))
            len = 1 + world_below(CHANCE_NETWORK, len - 1);
        memcpy(into.base, chunk->bytes + at, len);
        at += len;
        wire->read((uv_stream_t *)wire->tcp, (ssize_t)len, &into);
    }
    free(chunk);
}

static void answer_connect(void *owner, void *argument)
{
    struct wire *wire = owner;
    uv_connect_t *request = wire->connect;
    if (!request)
        return;
    wire->connect = NULL;
    loop_count(wire->loop, -1);
    request->cb(request, argument ? UV_ECONNREFUSED : 0);
}

static void answer_write(void *owner, void *argument)
{
    struct wire *wire = owner;
    uv_write_t *request = wire->writing;
    if (!request || wire->left.len)
        return;
    wire->writing = NULL;
    loop_count(wire->loop, -1);
    request->cb(request, 0);
}

/* ---- to Redis ---- */

static size_t accept_bytes(struct wire *wire, struct str bytes)
{
    size_t queued = wire->flows[TO_REDIS].bytes;
    size_t room = queued < SEND_BUFFER_BYTES ? SEND_BUFFER_BYTES - queued : 0;
    size_t len = bytes.len < room ? bytes.len : room;
    if (len)
        append(wire, TO_REDIS, CHUNK_BYTES, str_from(bytes.ptr, len));
    return len;
}

static void go_on_writing(struct wire *wire)
{
    if (!wire->writing || !wire->left.len)
        return;
    size_t took = accept_bytes(wire, str_from(wire->left.base, wire->left.len));
    wire->left = uv_buf_init(wire->left.base + took, (unsigned)(wire->left.len - took));
    if (!wire->left.len)
        loop_post(wire->loop, answer_write, wire, NULL);
}

static void deliver_to_redis(struct wire *wire, struct chunk *chunk)
{
    if (wire->client && chunk->kind == CHUNK_BYTES) {
        redis_receive(wire->client, str_from(chunk->bytes, chunk->len));
    } else if (wire->client) {
        redis_hang_up(wire->client);
        wire->client = NULL;
    }
    free(chunk);
    go_on_writing(wire);
}

static void pump(void *owner, uint64_t number)
{
    struct wire *wire = owner;
    enum direction direction = (enum direction)number;
    struct flow *flow = &wire->flows[direction];
    while (flow->first && flow->first->due_us <= world_now_us()) {
        uint64_t until_us = blocked_until_us(wire, direction);
        if (until_us > world_now_us()) {
            world_at(until_us, pump, wire, direction);
            return;
        }
        struct chunk *chunk = take_chunk(flow);
        if (direction == TO_REDIS)
            deliver_to_redis(wire, chunk);
        else if (wire->tcp)
            loop_post(wire->loop, read_input, wire, chunk);
        else
            free(chunk);
    }
}

/* ---- Redis's side ---- */

void network_answer(struct wire *wire, struct str bytes)
{
    if (wire->tcp && bytes.len)
        append(wire, TO_NODE, CHUNK_BYTES, bytes);
}

size_t network_unsent(const struct wire *wire)
{
    return wire->flows[TO_NODE].bytes;
}

const struct sim_loop *network_loop(const struct wire *wire)
{
    return wire->loop;
}

static void shed(struct wire *wire)
{
    wire->client = NULL;
    clear(&wire->flows[TO_REDIS]);
    if (!wire->tcp)
        return;
    lose_tail(&wire->flows[TO_NODE]);
    append(wire, TO_NODE, world_percent(CHANCE_NETWORK, 50) ? CHUNK_END : CHUNK_RESET, STR(""));
}

void network_cut(struct wire *wire)
{
    world_trace("cut wire %llu", (unsigned long long)wire->number);
    if (wire->client)
        redis_hang_up(wire->client);
    shed(wire);
}

size_t network_cut_all(bool (*chosen)(const struct redis_client *client, const void *argument), const void *argument)
{
    size_t count = 0;
    LIST_EACH(link, &network.wires)
    {
        struct wire *wire = CONTAINER_OF(link, struct wire, link);
        if (!wire->client || (chosen && !chosen(wire->client, argument)))
            continue;
        /* Of what the node has sent, some arrives before the end: done, and never answered. */
        for (size_t i = world_below(CHANCE_NETWORK, 3); i > 0 && wire->client && wire->flows[TO_REDIS].first; i--)
            deliver_to_redis(wire, take_chunk(&wire->flows[TO_REDIS]));
        if (wire->client)
            network_cut(wire);
        count++;
    }
    return count;
}

/* ---- faults ---- */

void network_set_delay(uint64_t delay_max_us)
{
    network.delay_max_us = delay_max_us;
}

void network_refuse(bool refuse)
{
    network.refuse = refuse;
}

void network_pause_redis(uint64_t until_us)
{
    network.paused_until_us = until_us;
}

void network_cut_off(struct sim_loop *loop, uint64_t until_us)
{
    loop->cut_off_until_us = until_us;
}

/* ---- life ---- */

void network_begin(void)
{
    memset(&network, 0, sizeof network);
    list_init(&network.wires);
    names_begin();
}

void network_end(void)
{
    for (struct list_link *link; (link = list_take_first(&network.wires));) {
        struct wire *wire = CONTAINER_OF(link, struct wire, link);
        clear(&wire->flows[TO_REDIS]);
        clear(&wire->flows[TO_NODE]);
        free(wire);
    }
    names_end();
}

/* ---- libuv ---- */

int uv_tcp_init(uv_loop_t *uv, uv_tcp_t *tcp)
{
    tcp->loop = uv;
    tcp->type = UV_TCP;
    tcp->flags = 0;
    tcp->close_cb = NULL;
    tcp->u.reserved[0] = NULL;
    loop_count(loop_of(uv), 1);
    return 0;
}

static void arrive(void *owner, uint64_t number)
{
    struct wire *wire = owner;
    uint64_t until_us = blocked_until_us(wire, TO_REDIS);
    if (!wire->connect || !wire->tcp)
        return;
    if (until_us > world_now_us()) {
        world_at(until_us + delay_us(), arrive, wire, 0);
        return;
    }
    if (!network.refuse)
        wire->client = redis_accept(wire, wire->number);
    loop_post(wire->loop, answer_connect, wire, network.refuse ? wire : NULL);
}

int uv_tcp_connect(uv_connect_t *request, uv_tcp_t *tcp, const struct sockaddr *address, uv_connect_cb done)
{
    struct wire *wire = xcalloc(1, sizeof *wire);
    wire->number = ++network.wires_made;
    wire->loop = loop_of(tcp->loop);
    wire->tcp = tcp;
    wire->connect = request;
    list_append(&network.wires, &wire->link);
    tcp->u.reserved[0] = wire;
    request->cb = done;
    request->handle = (uv_stream_t *)tcp;
    loop_count(wire->loop, 1);
    world_at(world_now_us() + delay_us(), arrive, wire, 0);
    return 0;
}

int uv_read_start(uv_stream_t *stream, uv_alloc_cb alloc, uv_read_cb read)
{
    struct wire *wire = wire_of((uv_tcp_t *)stream);
    wire->alloc = alloc;
    wire->read = read;
    return 0;
}

/* Now and then the kernel takes less than all. */
static size_t some_of(size_t len)
{
    return world_percent(CHANCE_NETWORK, 2) ? world_below(CHANCE_NETWORK, len) : len;
}

int uv_try_write(uv_stream_t *stream, const uv_buf_t *bytes, unsigned count)
{
    struct wire *wire = wire_of((uv_tcp_t *)stream);
    size_t took = 0;
    if (wire->writing)
        return UV_EAGAIN;
    for (unsigned i = 0; i < count; i++)
        took += accept_bytes(wire, str_from(bytes[i].base, some_of(bytes[i].len)));
    return took ? (int)took : UV_EAGAIN;
}

int uv_write(uv_write_t *request, uv_stream_t *stream, const uv_buf_t *bytes, unsigned count, uv_write_cb done)
{
    struct wire *wire = wire_of((uv_tcp_t *)stream);
    if (count != 1 || wire->writing)
        world_fail("the simulator takes one write of one buffer at a time");
    request->cb = done;
    wire->writing = request;
    wire->left = bytes[0];
    loop_count(wire->loop, 1);
    if (wire->flows[TO_REDIS].bytes == 0 || !wire->client) {
        /* Nothing that arrives would let it go on. */
        append(wire, TO_REDIS, CHUNK_BYTES, str_from(wire->left.base, wire->left.len));
        wire->left.len = 0;
        loop_post(wire->loop, answer_write, wire, NULL);
    }
    return 0;
}

int uv_tcp_nodelay(uv_tcp_t *tcp, int enable)
{
    return 0;
}

int uv_tcp_keepalive(uv_tcp_t *tcp, int enable, unsigned delay_s)
{
    return 0;
}

int uv_fileno(const uv_handle_t *handle, uv_os_fd_t *out)
{
    return UV_EBADF;
}

/* Nothing waits in the node's buffers any longer; what is under way arrives before anything that is sent from now on.
 */
int uv_tcp_close_reset(uv_tcp_t *tcp, uv_close_cb closed)
{
    struct wire *wire = wire_of(tcp);
    if (!wire)
        return UV_EBADF;
    struct flow *flow = &wire->flows[TO_REDIS];
    if (blocked_until_us(wire, TO_NODE) > world_now_us())
        clear(flow);
    for (struct chunk *chunk = flow->first; chunk; chunk = chunk->next)
        chunk->due_us = world_now_us();
    flow->last_due_us = world_now_us();
    pump(wire, TO_REDIS);
    uv_close((uv_handle_t *)tcp, closed);
    return 0;
}

void network_close(uv_tcp_t *tcp)
{
    struct wire *wire = wire_of(tcp);
    if (!wire)
        return;
    wire->tcp = NULL;
    clear(&wire->flows[TO_NODE]);
    if (world_percent(CHANCE_NETWORK, 30))
        lose_tail(&wire->flows[TO_REDIS]);
    append(wire, TO_REDIS, CHUNK_END, STR(""));
}

void network_closed(uv_tcp_t *tcp)
{
    struct wire *wire = wire_of(tcp);
    if (!wire)
        return;
    uv_connect_t *connect = wire->connect;
    uv_write_t *writing = wire->writing;
    wire->connect = NULL;
    wire->writing = NULL;
    if (connect) {
        loop_count(wire->loop, -1);
        connect->cb(connect, UV_ECANCELED);
    }
    if (writing) {
        loop_count(wire->loop, -1);
        writing->cb(writing, UV_ECANCELED);
    }
}
