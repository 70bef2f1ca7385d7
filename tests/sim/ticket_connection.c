/* ticket_connection.c - see ticket_connection.h. */
#include "tests/sim/ticket_connection.h"

#include "common/base/alloc.h"
#include "common/protocol/ws_frame.h"
#include "server/dialect/carillon.h"
#include "tests/sim/journal.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

enum { DELAY_MIN_US = 50, DELAY_SPREAD_US = 2000, PING_US = 1000000, PONG_US = 1000000, USES_MAX = 1000000 };

const size_t ticket_channels[TICKET_CHANNELS] = {0, 2};

/* What comes from the client. */
enum up { UP_PONG, UP_CLOSE, UP_END };

static struct connections {
    struct list_link all;
    struct endpoint endpoint;
} connections;

static uint64_t next_due_us(uint64_t *last_us)
{
    uint64_t due_us = world_now_us() + DELAY_MIN_US + world_below(CHANCE_NETWORK, DELAY_SPREAD_US);
    return *last_us = due_us > *last_us ? due_us : *last_us;
}

/* ---- from the client ---- */

static void be_gone(struct ticket_connection *connection);

static void take_up(void *owner, void *argument)
{
    struct ticket_connection *connection = owner;
    struct hub *hub = connection->worker->hub;
    enum up up = (enum up)(uintptr_t)argument;
    if (connection->gone)
        return;
    turn_begin(connection->worker->turn);
    if (up == UP_PONG && connection->session) {
        hub_pong(hub, connection->session);
    } else if (up == UP_CLOSE && connection->session && connection->session->state == SESSION_OPEN) {
        session_end_with(connection->session, 1000, STR("")); /* the answer is followed by the end */
    } else if (up != UP_PONG) {
        if (up == UP_CLOSE && connection->session)
            hub_close_answered(hub, connection->session);
        be_gone(connection);
    }
}

static void arrive_up(void *owner, uint64_t up)
{
    struct ticket_connection *connection = owner;
    if (!connection->gone)
        loop_post(connection->worker->loop, take_up, connection, (void *)(uintptr_t)up);
}

static void send_up(struct ticket_connection *connection, enum up up)
{
    world_at(next_due_us(&connection->up_due_us), arrive_up, connection, up);
}

/* ---- to the client ---- */

struct parcel {
    struct ticket_connection *connection;
    bool end;
    size_t len;
    char bytes[];
};

static void take_message(struct ticket_connection *connection, const struct ws_message *message)
{
    if (message->opcode == WS_TEXT) {
        ticket_client_hears(connection, message->payload);
    } else if (message->opcode == WS_PING) {
        send_up(connection, UP_PONG);
    } else if (message->opcode == WS_CLOSE) {
        connection->code = message->close_code;
        if (!connection->closed)
            send_up(connection, UP_CLOSE);
        connection->closed = true;
    }
}

static void arrive_down(void *owner, uint64_t number)
{
    struct parcel *parcel = owner;
    struct ticket_connection *connection = parcel->connection;
    struct str bytes = str_from(parcel->bytes, parcel->len);
    struct ws_message message;
    struct error error;
    (void)number;
    while (connection->open && bytes.len &&
           ws_decoder_next(&connection->decoder, &bytes, &message, &error) == WS_DECODED_MESSAGE)
        take_message(connection, &message);
    if (parcel->end && connection->open) {
        connection->open = false;
        ticket_client_ends(connection);
    }
    free(parcel);
}

static void send_down(struct ticket_connection *connection, bool end, struct str bytes)
{
    struct parcel *parcel = xmalloc(sizeof *parcel + bytes.len);
    *parcel = (struct parcel){.connection = connection, .end = end, .len = bytes.len};
    if (bytes.len)
        memcpy(parcel->bytes, bytes.ptr, bytes.len);
    world_at(next_due_us(&connection->down_due_us), arrive_down, parcel, 0);
}

/* ---- at the node ---- */

static void be_gone(struct ticket_connection *connection)
{
    int code = 0;
    if (connection->gone)
        return;
    connection->gone = true;
    turn_begin(connection->worker->turn);
    if (connection->ticket)
        session_ticket_leave(connection->ticket);
    if (connection->use)
        single_use_stop_waiting(connection->use);
    if (connection->session) {
        code = connection->session->state == SESSION_OPEN ? CLOSE_LOST : (int)connection->session->closing_code;
        journal_closed(connection->session->uuid);
        hub_gone(connection->worker->hub, connection->session);
    }
    connection->ticket = NULL;
    connection->use = NULL;
    connection->session = NULL;
    ticket_client_gone(connection, code);
    send_down(connection, true, STR(""));
}

static void deliver_gone(void *owner, void *argument)
{
    (void)argument;
    be_gone(owner);
}

/* What a client that is gone is sent is lost on the way: the node does not know. */
static enum write_result carry(struct session *session, struct str frames, uint32_t *out_unsent)
{
    struct ticket_connection *connection = session->transport;
    *out_unsent = 0;
    if (connection->gone)
        return WRITE_FAILED;
    send_down(connection, false, frames);
    return WRITE_ALL;
}

/* It ends once the client has answered. */
static void finish(struct session *session, bool abrupt)
{
    struct ticket_connection *connection = session->transport;
    if (abrupt || connection->closed)
        loop_post(connection->worker->loop, deliver_gone, connection, NULL);
}

static const struct transport_ops transport = {.write = carry, .finish = finish, .framing = &ws_framing};

static void begin_session(struct ticket_connection *connection, struct claims *claims)
{
    struct first_channel channels[TICKET_CHANNELS];
    for (size_t i = 0; i < TICKET_CHANNELS; i++)
        channels[i] = (struct first_channel){.name = str_from_cstr(sim_channels[ticket_channels[i]].name)};
    const struct session_start start = {.claims = claims,
                                        .address = STR("192.0.2.2"),
                                        .endpoint = &connections.endpoint,
                                        .ops = &transport,
                                        .ticket = connection->ticket,
                                        .transport = connection,
                                        .channels = channels,
                                        .channel_count = TICKET_CHANNELS};
    connection->ticket = NULL;
    turn_begin(connection->worker->turn);
    connection->session = hub_open(connection->worker->hub, &start);
    journal_opened(connection->worker->node, connection->session->uuid);
    ticket_client_begun(connection);
}

static void ticket_answered(void *waiter, enum err err, enum ticket_outcome outcome)
{
    struct ticket_connection *connection = waiter;
    struct claims *claims;
    struct error error;
    if (!ticket_client_answered(connection, err, err == ERR_NONE && outcome == TICKET_DONE, outcome)) {
        be_gone(connection);
    } else if (claims_parse(session_ticket_claims(connection->ticket), &claims, &error)) {
        world_fail("the claims of a ticket: %s", error.text);
    } else {
        begin_session(connection, claims);
        claims_unref(claims);
    }
}

static void token_answered(void *waiter, enum err err, bool first)
{
    struct ticket_connection *connection = waiter;
    connection->use = NULL;
    if (ticket_client_answered(connection, err, err == ERR_NONE && first, first ? TICKET_DONE : TICKET_USED))
        begin_session(connection, ticket_client_claims(connection->client));
    else
        be_gone(connection);
}

static void ask_broker(void *owner, void *argument)
{
    struct ticket_connection *connection = owner;
    struct hub *hub = connection->worker->hub;
    struct claims *claims = ticket_client_claims(connection->client);
    (void)argument;
    if (connection->gone)
        return;
    turn_begin(connection->worker->turn);
    if (claims) {
        const struct single_use_question question = {.claims = claims, .max = USES_MAX};
        connection->use = single_use_ask(hub, &question, token_answered, connection);
        return;
    }
    const struct ticket_question question = {
        .ticket = ticket_client_ticket(connection->client),
        .purpose = STR("chat"),
        .resource = connection->is_wrong ? STR("another") : ticket_client_resource(connection->client)};
    connection->ticket = session_ticket_use(hub, &question, ticket_answered, connection);
}

static void arrive(void *owner, uint64_t number)
{
    struct ticket_connection *connection = owner;
    (void)number;
    if (!connection->gone)
        loop_post(connection->worker->loop, ask_broker, connection, NULL);
}

void ticket_connection_lose_all(struct sim_worker *worker)
{
    LIST_EACH(link, &connections.all)
    {
        struct ticket_connection *connection = CONTAINER_OF(link, struct ticket_connection, link);
        if (connection->worker == worker)
            be_gone(connection);
    }
}

/* ---- what clients do ---- */

struct ticket_connection *ticket_connection_begin(struct ticket_client *client, struct sim_node *node, bool is_wrong)
{
    struct ticket_connection *connection = xcalloc(1, sizeof *connection);
    connection->client = client;
    connection->worker = &node->workers[world_below(CHANCE_PLAN, node->worker_count)];
    connection->is_wrong = is_wrong;
    connection->open = true;
    list_append(&connections.all, &connection->link);
    world_at(next_due_us(&connection->up_due_us), arrive, connection, 0);
    return connection;
}

void ticket_connection_close(struct ticket_connection *connection)
{
    connection->closed = true;
    connection->open = false;
    send_up(connection, UP_CLOSE);
}

void ticket_connection_vanish(struct ticket_connection *connection, bool silently)
{
    connection->open = false;
    if (!silently)
        send_up(connection, UP_END);
}

struct ticket_connection *ticket_connection_find(const struct ticket_client *client,
                                                 bool (*holds)(const struct ticket_connection *connection))
{
    LIST_EACH(link, &connections.all)
    {
        struct ticket_connection *connection = CONTAINER_OF(link, struct ticket_connection, link);
        if (connection->client == client && holds(connection))
            return connection;
    }
    return NULL;
}

/* ---- life ---- */

void ticket_connections_begin(void)
{
    memset(&connections, 0, sizeof connections);
    list_init(&connections.all);
    endpoint_init(&connections.endpoint, &carillon_dialect, NULL);
    connections.endpoint.limits = (struct endpoint_limits){.message_bytes = 65536, .channels = TICKET_CHANNELS};
    connections.endpoint.ping_interval_us = PING_US;
    connections.endpoint.pong_timeout_us = PONG_US;
    connections.endpoint.close_codes.code[REASON_PONG_TIMEOUT] = 1012;
    connections.endpoint.close_codes.code[REASON_GOING_AWAY] = 1012;
}

void ticket_connections_end(void)
{
    for (struct list_link *link; (link = list_take_first(&connections.all));) {
        struct ticket_connection *connection = CONTAINER_OF(link, struct ticket_connection, link);
        ws_decoder_fini(&connection->decoder);
        free(connection);
    }
}
