/* client.c - see client.h. Here: connections, and the messages that go over them. channel_view.c has the client's view
 * of a channel. */
#include "tests/sim/client.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/protocol/ws_client.h"
#include "common/protocol/ws_frame.h"
#include "server/core/session_slot.h"
#include "server/core/session_uuid.h"
#include "server/dialect/carillon.h"
#include "tests/sim/channel_view.h"
#include "tests/sim/journal.h"
#include "tests/sim/tokens.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

enum { DELAY_MIN_US = 50, DELAY_SPREAD_US = 2000 };
enum { USERS = 3 };              /* tokens.c; some have several connections */
enum { CLIENT_WITHOUT_IDS = 0 }; /* it says only epoch and offset when it comes back */

/* A connection. It lives until the end of the run, because its two sides learn of its end at different times. */
struct line {
    struct list_link link;
    size_t client;
    struct sim_worker *worker;
    struct session *session;   /* the hub's end; NULL: not yet, or no more */
    struct session_slot *slot; /* asked for: the session begins with it */
    char uuid[UUID_LEN + 1];   /* of the slot's session; "" without a slot */
    struct list_link early;    /* packets that came meanwhile */
    bool open;                 /* the client's end */
    bool gone;                 /* the hub has been told */
    uint64_t down_due_us;
    uint64_t up_due_us;
    uint64_t stalled_until_us;
    uint32_t unsent; /* while it is stalled */
    struct claims *claims;
    char reason[40]; /* of its end, as the server gave it */
    struct ws_decoder decoder;
};

struct packet {
    struct list_link link; /* in line->early */
    struct line *line;
    bool end;
    size_t len;
    char bytes[];
};

struct client {
    struct line *line; /* NULL: not connected */
    struct channel_view views[CHANNELS_MAX];
    struct asked asked[ASKED_MAX];
    uint64_t ids;
};

static struct clients {
    struct client all[CLIENTS_MAX];
    size_t count;
    struct list_link lines;
    struct endpoint endpoint;
} clients;

static struct packet *make_packet(struct line *line, bool end, struct str bytes)
{
    struct packet *packet = xmalloc(sizeof *packet + bytes.len);
    *packet = (struct packet){.line = line, .end = end, .len = bytes.len};
    if (bytes.len)
        memcpy(packet->bytes, bytes.ptr, bytes.len);
    return packet;
}

static uint64_t next_due_us(uint64_t *last_us)
{
    uint64_t due_us = world_now_us() + DELAY_MIN_US + world_below(CHANCE_NETWORK, DELAY_SPREAD_US);
    return *last_us = due_us > *last_us ? due_us : *last_us;
}

/* ---- to the client ---- */

static void close_line(struct line *line)
{
    if (!line->open)
        return;
    line->open = false;
    struct client *client = &clients.all[line->client];
    client->line = NULL;
    world_trace("client %zu is not connected any more", line->client);
    for (size_t i = 0; i < sim_channel_count; i++)
        channel_view_leave(&client->views[i]);
    asked_forget(client->asked);
    tokens_session_ends(line->client, line->reason);
}

static void take_message(struct line *line, const struct ws_message *message)
{
    struct client *client = &clients.all[line->client];
    if (message->opcode == WS_TEXT) {
        if (str_starts_with(message->payload, STR("{\"type\":\"session_init\"")))
            tokens_session_begins(line->client);
        channel_view_take(line->client, client->views, client->asked, message->payload);
    } else if (message->opcode == WS_CLOSE) {
        world_trace("client %zu: closed with %d %.*s", line->client, message->close_code, STR_ARG(message->payload));
        snprintf(line->reason, sizeof line->reason, "%.*s", STR_ARG(message->payload));
    }
}

static void arrive_down(void *owner, uint64_t number)
{
    struct packet *packet = owner;
    struct line *line = packet->line;
    struct str bytes = str_from(packet->bytes, packet->len);
    struct ws_message message;
    struct error error;
    enum ws_decoded decoded = WS_DECODED_MORE;
    while (line->open && bytes.len &&
           (decoded = ws_decoder_next(&line->decoder, &bytes, &message, &error)) == WS_DECODED_MESSAGE)
        take_message(line, &message);
    if (decoded == WS_DECODED_BAD)
        world_fail("client %zu cannot read a frame: %s", line->client, error.text);
    if (packet->end)
        close_line(line);
    free(packet);
}

static void send_down(struct line *line, bool end, struct str bytes)
{
    uint64_t due_us = next_due_us(&line->down_due_us);
    if (due_us < line->stalled_until_us)
        due_us = line->down_due_us = line->stalled_until_us;
    world_at(due_us, arrive_down, make_packet(line, end, bytes), 0);
}

/* ---- the hub's transport ---- */

static void drop_early(struct line *line)
{
    for (struct list_link *link; (link = list_take_first(&line->early));)
        free(CONTAINER_OF(link, struct packet, link));
}

static void be_gone(struct line *line)
{
    if (line->gone)
        return;
    line->gone = true;
    drop_early(line);
    if (line->slot) {
        turn_begin(line->worker->turn);
        session_slot_leave(line->slot);
        line->slot = NULL;
    }
    if (line->session) {
        turn_begin(line->worker->turn);
        journal_closed(line->session->uuid);
        hub_gone(line->worker->hub, line->session);
        line->session = NULL;
    }
    send_down(line, true, STR(""));
}

static void deliver_gone(void *owner, void *argument)
{
    be_gone(owner);
}

static void deliver_writable(void *owner, void *argument)
{
    struct line *line = owner;
    if (line->gone || !line->session || world_now_us() < line->stalled_until_us)
        return;
    line->unsent = 0;
    turn_begin(line->worker->turn);
    hub_writable(line->worker->hub, line->session, 0);
}

static void read_again(void *owner, uint64_t number)
{
    struct line *line = owner;
    if (!line->gone)
        loop_post(line->worker->loop, deliver_writable, line, NULL);
}

static enum write_result carry(struct session *session, struct str frames, uint32_t *out_unsent)
{
    struct line *line = session->transport;
    if (line->gone || !line->open)
        return WRITE_FAILED;
    send_down(line, false, frames);
    line->unsent = world_now_us() < line->stalled_until_us ? line->unsent + (uint32_t)frames.len : 0;
    *out_unsent = line->unsent;
    return line->unsent ? WRITE_PARTIAL : WRITE_ALL;
}

static void finish(struct session *session, bool abrupt)
{
    struct line *line = session->transport;
    loop_post(line->worker->loop, deliver_gone, line, NULL);
}

static const struct transport_ops transport = {.write = carry, .finish = finish, .framing = &ws_framing};

void client_lose_all(struct sim_worker *worker)
{
    LIST_EACH(link, &clients.lines)
    {
        struct line *line = CONTAINER_OF(link, struct line, link);
        if (line->worker == worker)
            be_gone(line);
    }
}

/* ---- to the hub ---- */

static void take_up(void *owner, void *argument)
{
    struct line *line = owner;
    struct packet *packet = argument;
    if (!line->gone && line->slot && !packet->end) {
        list_append(&line->early, &packet->link);
        return;
    }
    if (!line->gone && packet->end) {
        be_gone(line);
    } else if (!line->gone && line->session) {
        turn_begin(line->worker->turn);
        hub_receive(line->worker->hub, line->session, str_from(packet->bytes, packet->len));
    }
    free(packet);
}

static void arrive_up(void *owner, uint64_t number)
{
    struct packet *packet = owner;
    if (packet->line->gone)
        free(packet);
    else
        loop_post(packet->line->worker->loop, take_up, packet->line, packet);
}

static void send_up(struct line *line, bool end, struct str text)
{
    world_at(next_due_us(&line->up_due_us), arrive_up, make_packet(line, end, text), 0);
}

static void refuse(struct line *line, const char *reason)
{
    world_trace("client %zu is refused: %s", line->client, reason);
    snprintf(line->reason, sizeof line->reason, "%s", reason);
    be_gone(line);
}

static void begin_session(struct line *line)
{
    struct session_start start = {.uuid = str_from_cstr(line->uuid),
                                  .claims = line->claims,
                                  .address = STR("192.0.2.1"),
                                  .endpoint = &clients.endpoint,
                                  .ops = &transport,
                                  .slot = line->slot,
                                  .transport = line};
    line->slot = NULL;
    turn_begin(line->worker->turn);
    line->session = hub_open(line->worker->hub, &start);
    journal_opened(line->worker->node, line->session->uuid);
    for (struct list_link *link; (link = list_take_first(&line->early));)
        take_up(line, CONTAINER_OF(link, struct packet, link));
}

static void slot_answered(void *owner, bool granted)
{
    struct line *line = owner;
    const char *refusal =
        granted ? tokens_refusal(line->worker->node, line->client, line->claims) : reason_text(REASON_CONNECTION_LIMIT);
    if (refusal)
        refuse(line, refusal);
    else
        begin_session(line);
}

static void open_session(void *owner, void *argument)
{
    struct line *line = owner;
    if (line->gone)
        return;
    struct hub *hub = line->worker->hub;
    const char *refusal = tokens_refusal(line->worker->node, line->client, line->claims);
    if (refusal) {
        refuse(line, refusal);
    } else if (session_slot_is_needed(hub, line->claims)) {
        turn_begin(line->worker->turn);
        session_uuid_make(turn_wall_ms(line->worker->turn), str_from_cstr(line->worker->node->real.id), line->uuid);
        line->slot = session_slot_take(hub, str_from(line->uuid, UUID_LEN), line->claims, slot_answered, line);
    } else {
        begin_session(line);
    }
}

static void arrive_open(void *owner, uint64_t number)
{
    struct line *line = owner;
    if (!line->gone)
        loop_post(line->worker->loop, open_session, line, NULL);
}

/* ---- what clients do ---- */

bool client_is_connected(size_t client)
{
    return clients.all[client].line != NULL;
}

bool client_has_session(size_t client)
{
    return clients.all[client].line && clients.all[client].line->session;
}

bool client_is_subscribed(size_t client, size_t channel)
{
    return clients.all[client].views[channel].state != VIEW_OUT;
}

void client_connect(size_t index, struct sim_node *node)
{
    struct line *line = xcalloc(1, sizeof *line);
    line->client = index;
    line->worker = &node->workers[world_below(CHANCE_PLAN, node->worker_count)];
    line->open = true;
    list_init(&line->early);
    line->claims = tokens_show(index);
    list_append(&clients.lines, &line->link);
    clients.all[index].line = line;
    world_trace("client %zu connects to %s, worker %u", index, node->real.id, line->worker->index);
    world_at(next_due_us(&line->up_due_us), arrive_open, line, 0);
}

void client_disconnect(size_t index)
{
    struct line *line = clients.all[index].line;
    world_trace("client %zu disconnects", index);
    close_line(line);
    send_up(line, true, STR(""));
}

static void ask(size_t index, struct asked asked, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void ask(size_t index, struct asked asked, const char *format, ...)
{
    struct client *client = &clients.all[index];
    struct buf text = {0};
    char rest[512];
    va_list args;
    va_start(args, format);
    vsnprintf(rest, sizeof rest, format, args);
    va_end(args);
    asked.id = ++client->ids;
    asked_add(client->asked, &asked);
    buf_appendf(&text, "{\"id\":%llu,%s}", (unsigned long long)asked.id, rest);
    world_trace("client %zu says %s", index, buf_cstr(&text));
    send_up(client->line, false, buf_str(&text));
    buf_fini(&text);
}

void client_subscribe(size_t index, size_t channel, uint64_t last)
{
    struct channel_view *view = &clients.all[index].views[channel];
    struct asked asked = {.kind = ASKED_SUBSCRIBE, .number = channel, .offset = view->offset};
    char from[160] = "", id[64] = "";
    asked.since = view->state == VIEW_OUT && view->epoch[0] && !last;
    asked.with_id = asked.since && view->id[0] && index != CLIENT_WITHOUT_IDS;
    memcpy(asked.epoch, view->epoch, sizeof asked.epoch);
    if (asked.with_id)
        snprintf(id, sizeof id, ",\"id\":\"%s\"", view->id);
    if (asked.since)
        snprintf(from, sizeof from, ",\"since\":{\"epoch\":\"%s\",\"offset\":%llu%s}", view->epoch,
                 (unsigned long long)view->offset, id);
    else if (last)
        snprintf(from, sizeof from, ",\"last\":%llu", (unsigned long long)last);
    channel_view_ask(view);
    ask(index, asked, "\"type\":\"subscribe\",\"data\":{\"channel\":\"%s\"%s}", sim_channels[channel].name, from);
}

static uint64_t users_on(size_t channel)
{
    uint64_t users = 0;
    for (size_t i = 0; i < clients.count; i++)
        if (clients.all[i].line && clients.all[i].views[channel].state == VIEW_IN)
            users |= UINT64_C(1) << i % USERS;
    return users;
}

static void ask_presence(size_t index, struct asked asked)
{
    ask(index, asked, "\"type\":\"presence\",\"data\":{\"channel\":\"%s\"}", sim_channels[asked.number].name);
}

void client_ask_presence(size_t index, size_t channel)
{
    ask_presence(index, (struct asked){.kind = ASKED_PRESENCE, .number = channel});
}

/* A node with members would have found out long ago that one of the keys is lost. If no node has members, the node
 * that is asked finds out. */
void client_ask_all(bool may_be_unknown)
{
    for (size_t i = 0; i < clients.count; i++)
        for (size_t k = 0; clients.all[i].line && k < sim_channel_count; k++) {
            struct asked asked = {.kind = ASKED_PRESENCE, .number = k, .must_be_exact = true, .expected = users_on(k)};
            asked.may_be_unknown = may_be_unknown && !asked.expected && truth_is_presence_lost(k);
            if (sim_channels[k].presence.kept)
                ask_presence(i, asked);
        }
}

void client_check_told(void)
{
    for (size_t i = 0; i < clients.count; i++)
        if (!asked_is_answered(clients.all[i].asked, ASKED_PRESENCE))
            world_fail("client %zu was not told who is there", i);
}

void client_read_history(size_t index, size_t channel)
{
    ask(index, (struct asked){.kind = ASKED_HISTORY, .number = channel},
        "\"type\":\"history\",\"data\":{\"channel\":\"%s\",\"limit\":20}", sim_channels[channel].name);
}

void client_unsubscribe(size_t index, size_t channel)
{
    ask(index, (struct asked){.kind = ASKED_UNSUBSCRIBE, .number = channel},
        "\"type\":\"unsubscribe\",\"data\":{\"channel\":\"%s\"}", sim_channels[channel].name);
}

void client_publish(size_t index, uint64_t number)
{
    struct str event_id = truth_event_id(number);
    char member[64] = "";
    if (event_id.len)
        snprintf(member, sizeof member, ",\"event_id\":\"%.*s\"", STR_ARG(event_id));
    ask(index, (struct asked){.kind = ASKED_PUBLISH, .number = number},
        "\"type\":\"publish\",\"data\":{\"channel\":\"%s\",\"type\":\"note\",\"data\":{\"n\":%llu}%s%s}",
        sim_channels[truth_channel(number)].name, (unsigned long long)number, member,
        number % 3 == 0 ? ",\"echo\":false" : "");
}

void client_stall(size_t index, uint64_t until_us)
{
    struct line *line = clients.all[index].line;
    world_trace("client %zu stalls", index);
    line->stalled_until_us = until_us;
    world_at(until_us, read_again, line, 0);
}

void client_check(bool turned)
{
    for (size_t i = 0; i < clients.count; i++)
        for (size_t k = 0; k < sim_channel_count; k++)
            channel_view_check(i, k, &clients.all[i].views[k], clients.all[i].line != NULL, turned);
}

/* ---- life ---- */

void client_begin(size_t count)
{
    memset(&clients, 0, sizeof clients);
    clients.count = count;
    list_init(&clients.lines);
    endpoint_init(&clients.endpoint, &carillon_dialect, NULL);
    clients.endpoint.limits = (struct endpoint_limits){.message_bytes = 65536, .channels = CHANNELS_MAX};
}

void client_end(void)
{
    for (struct list_link *link; (link = list_take_first(&clients.lines));) {
        struct line *line = CONTAINER_OF(link, struct line, link);
        drop_early(line);
        ws_decoder_fini(&line->decoder);
        claims_unref(line->claims);
        free(line);
    }
    for (size_t i = 0; i < clients.count; i++)
        for (size_t k = 0; k < sim_channel_count; k++)
            channel_view_fini(&clients.all[i].views[k]);
}
