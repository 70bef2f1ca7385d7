/* tickets.c - see tickets.h. A ticket client is a ticket, or a token for one connection, and the client that has it. */
#include "tests/sim/tickets.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/json/json.h"
#include "tests/sim/backend.h"
#include "tests/sim/redis.h"
#include "tests/sim/ticket_connection.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

enum { TICKET_CLIENTS_MAX = 32, CROWD = 10, TRIES = 12, SECOND_US = 1000000 };
enum { TOLD_US = 100000 };               /* Redis has a new session's places */
enum { CALM_AFTER_US = 20 * SECOND_US }; /* the longest fault, the lease, and the time of a command */
enum { TICKET_MS = 600000, TOKEN_MS = 864000000 };

enum credential_kind { CREDENTIAL_ONCE, CREDENTIAL_RESUME, CREDENTIAL_TOKEN, CREDENTIAL_KINDS };

struct ticket_client {
    size_t number;
    enum credential_kind kind;
    char ticket[TICKET_LEN + 1];
    char resource[24];
    char key[80]; /* in Redis */
    struct claims *claims;
    bool issued; /* Redis has said so */
    bool comes_back;
    bool ended;   /* in order, by its client */
    bool secured; /* its places must be in Redis */
    bool excused; /* Redis has lost data since it was issued */
    unsigned tries;
    unsigned sessions;
    unsigned doubts;                                  /* uses whose answer nobody has heard, or that were given back */
    unsigned answers;                                 /* of uses in order */
    struct known_position positions[TICKET_CHANNELS]; /* what the client has heard of all its sessions */
};

static struct tickets {
    struct sim_node **nodes;
    size_t node_count;
    struct ticket_client all[TICKET_CLIENTS_MAX];
    size_t count;
    uint64_t calm_at_us;
} tickets;

static struct sim_node *any_node(void)
{
    for (size_t i = 0, at = world_below(CHANCE_PLAN, tickets.node_count); i < tickets.node_count; i++)
        if (tickets.nodes[(at + i) % tickets.node_count]->alive)
            return tickets.nodes[(at + i) % tickets.node_count];
    return NULL;
}

static bool is_calm(void)
{
    return world_now_us() >= tickets.calm_at_us;
}

static const struct key *find_in_redis(const struct ticket_client *client)
{
    return store_find(redis_store(), str_from_cstr(client->key), world_wall_ms());
}

/* ---- what a connection asks ---- */

struct str ticket_client_ticket(const struct ticket_client *client)
{
    return str_from(client->ticket, TICKET_LEN);
}

struct str ticket_client_resource(const struct ticket_client *client)
{
    return str_from_cstr(client->resource);
}

struct claims *ticket_client_claims(const struct ticket_client *client)
{
    return client->kind == CREDENTIAL_TOKEN ? client->claims : NULL;
}

/* ---- who gets in ---- */

static void wrong(const struct ticket_client *client, const char *what)
{
    static const char *const kinds[CREDENTIAL_KINDS] = {"ticket for one use", "ticket that resumes", "token"};
    world_fail("%s %zu: %s", kinds[client->kind], client->number, what);
}

static bool has_session(const struct ticket_connection *connection)
{
    return connection->session != NULL;
}

static bool is_open(const struct ticket_connection *connection)
{
    return connection->open && connection->session;
}

static void check_granted(const struct ticket_connection *connection)
{
    const struct ticket_client *client = connection->client;
    if (connection->is_wrong)
        wrong(client, "it was taken for a resource that it is not for");
    else if (client->excused)
        return;
    else if (client->kind != CREDENTIAL_RESUME && client->sessions)
        wrong(client, "it has opened a session before");
    else if (!find_in_redis(client))
        wrong(client, "it was taken, and Redis does not know it");
    else if (is_calm() && client->ended)
        wrong(client, "it was taken after its client had ended in order");
    else if (is_calm() && ticket_connection_find(client, has_session))
        wrong(client, "two sessions have it at once");
}

/* Of a ticket that resumes. It may be held until the node of the session before has told Redis. */
static void check_refused(const struct ticket_connection *connection, enum ticket_outcome outcome)
{
    const struct ticket_client *client = connection->client;
    if (connection->is_wrong || client->excused || client->ended || !client->issued || !is_calm())
        return;
    if (outcome != TICKET_HELD)
        wrong(client, "it was refused, and its last session was lost");
}

bool ticket_client_answered(struct ticket_connection *connection, enum err err, bool granted,
                            enum ticket_outcome outcome)
{
    struct ticket_client *client = connection->client;
    bool gets_session = granted && world_below(CHANCE_PLAN, 10) > 0;
    const struct key *key = find_in_redis(client);
    const struct str *places = key ? store_field(key, STR("positions")) : NULL;
    world_trace("ticket client %zu: %s, outcome %d, with %.*s", client->number, err_code(err), (int)outcome,
                STR_ARG(places ? *places : STR("no places")));
    if (granted)
        check_granted(connection);
    else if (!err && client->kind == CREDENTIAL_RESUME)
        check_refused(connection, outcome);
    if (err || (granted && !gets_session))
        client->doubts++;
    else
        client->answers += !connection->is_wrong;
    connection->code = gets_session ? 0 : err || granted || outcome == TICKET_HELD ? 1013 : 1008;
    return gets_session;
}

void ticket_client_begun(struct ticket_connection *connection)
{
    connection->client->sessions++;
    connection->client->tries = 0;
}

void ticket_client_gone(struct ticket_connection *connection, int code)
{
    struct ticket_client *client = connection->client;
    if (!code && connection->open && !connection->code)
        client->doubts++; /* gone before the answer */
    if (code == 1000)
        client->ended = true;
    if (is_calm() && connection->in_since_us && world_now_us() - connection->in_since_us > TOLD_US)
        client->secured = true;
}

/* ---- what they hear ---- */

static struct str text_of(struct json_value object, const char *name)
{
    struct json_value value = json_member(object, str_from_cstr(name));
    struct str text;
    return value.type == JSON_STRING && json_text(value, NULL, &text) ? text : STR("");
}

static uint64_t number_of(struct json_value object, const char *name)
{
    uint64_t number = 0;
    struct json_value value = json_member(object, str_from_cstr(name));
    return value.type && json_u64(value, &number) ? number : 0;
}

/* With two sessions at once the client is where the first of them is. */
static void set_position(struct ticket_connection *connection, size_t index, struct str epoch, uint64_t offset)
{
    struct known_position *own = &connection->positions[index], *known = &connection->client->positions[index];
    char text[EPOCH_MAX + 1];
    snprintf(text, sizeof text, "%.*s", STR_ARG(epoch));
    memcpy(own->epoch, text, sizeof text);
    own->offset = offset;
    if (strcmp(known->epoch, text) != 0 || known->offset < offset)
        *known = *own;
}

/* It goes on at or before the place where the client is; else it misses what lies between. */
static void hear_subscribed(struct ticket_connection *connection, size_t index, struct json_value data)
{
    struct ticket_client *client = connection->client;
    const struct known_position *known = &client->positions[index];
    struct str had = str_from_cstr(known->epoch), epoch = text_of(data, "epoch");
    uint64_t offset = number_of(data, "offset");
    size_t channel = ticket_channels[index];
    bool recovered = str_eq_cstr(json_member(data, STR("recovered")).raw, "true");
    if (recovered && !client->excused && had.len && !str_eq(had, epoch))
        wrong(client, "its session goes on in another epoch than the one before");
    else if (recovered && !client->excused && had.len && offset > known->offset)
        wrong(client, "its session goes on after events that the client has not got");
    else if (!recovered && client->secured && is_calm() && sim_channels[channel].history.size >= 100 && had.len &&
             truth_can_recover(channel, had, known->offset, truth_record(channel, had, known->offset, ANY_NUMBER),
                               true))
        wrong(client, "its session could go on where the one before was lost, and does not");
    connection->in[index] = true;
    connection->in_since_us = world_now_us();
    set_position(connection, index, epoch, offset);
}

static void hear_event(struct ticket_connection *connection, size_t index, struct json_value whole)
{
    struct str epoch = str_from_cstr(connection->positions[index].epoch);
    uint64_t expected = connection->positions[index].offset + 1, offset = number_of(whole, "offset");
    uint64_t number = number_of(json_member(whole, STR("data")), "n");
    if (!connection->in[index])
        wrong(connection->client, "an event without a subscription");
    else if (offset != expected)
        wrong(connection->client, offset > expected ? "an event is missing" : "an event comes again in one session");
    else if (!truth_count(ticket_channels[index], epoch, offset, number))
        wrong(connection->client, "not the event of that position");
    set_position(connection, index, epoch, offset);
}

static void hear_gap(struct ticket_connection *connection, size_t index, struct json_value data)
{
    set_position(connection, index, text_of(data, "epoch"), number_of(data, "offset"));
}

void ticket_client_hears(struct ticket_connection *connection, struct str text)
{
    struct json_value whole;
    if (json_check(text, NULL, &whole, NULL)) {
        world_fail("ticket client %zu does not understand %.*s", connection->client->number, STR_ARG(text));
        return;
    }
    world_trace("ticket client %zu hears %.*s", connection->client->number, STR_ARG(text));
    struct str type = text_of(whole, "type");
    size_t channel = sim_channel_find(text_of(whole, "channel"));
    for (size_t i = 0; i < TICKET_CHANNELS; i++) {
        if (ticket_channels[i] != channel)
            continue;
        if (str_eq_cstr(type, "subscribed"))
            hear_subscribed(connection, i, json_member(whole, STR("data")));
        else if (str_eq_cstr(type, "note"))
            hear_event(connection, i, whole);
        else if (str_eq_cstr(type, "gap"))
            hear_gap(connection, i, json_member(whole, STR("data")));
    }
}

/* ---- they come back ---- */

static void come_again(void *owner, uint64_t number)
{
    struct ticket_client *client = &tickets.all[number];
    struct sim_node *node = any_node();
    (void)owner;
    if (client->ended || ticket_connection_find(client, is_open) || client->tries > TRIES)
        return;
    client->tries++;
    if (node)
        ticket_connection_begin(client, node, false);
    else
        world_at(world_now_us() + SECOND_US, come_again, NULL, number);
}

static void come_back(struct ticket_client *client)
{
    if (client->comes_back)
        world_at(world_now_us() + SECOND_US, come_again, NULL, client->number);
}

void ticket_client_ends(struct ticket_connection *connection)
{
    if (!connection->code || (connection->code >= 1011 && connection->code <= 1014))
        come_back(connection->client);
}

/* ---- they are issued ---- */

static void on_issued(struct request *request, void *owner)
{
    struct ticket_client *client = request->waiter;
    (void)owner;
    client->issued = !request->error;
    request_destroy(request);
}

/* In the worker's thread. */
static void send_issue(void *owner, void *argument)
{
    struct sim_worker *worker = owner;
    struct ticket_client *client = argument;
    char key[TICKET_KEY_LEN + 1];
    ticket_key(ticket_client_ticket(client), key);
    const struct ticket_facts facts = {.purpose = STR("chat"),
                                       .resource = ticket_client_resource(client),
                                       .claims = STR("{\"sub\":\"rider\"}"),
                                       .resumes = client->kind == CREDENTIAL_RESUME};
    struct ticket_request *request =
        ticket_request_create(TICKET_ISSUE, str_from(key, TICKET_KEY_LEN), &facts, STR(""), STR(""));
    request->ttl_ms = TICKET_MS;
    request->max = SECOND_US;
    request->base.reply_to = &worker->mailbox;
    request->base.done = on_issued;
    request->base.waiter = client;
    router_ask(&worker->node->real.router, &request->base);
}

static void make_token(struct ticket_client *client)
{
    char payload[128], text[40], key[TICKET_KEY_LEN + 1];
    struct error error;
    int len = snprintf(payload, sizeof payload, "{\"sub\":\"rider\",\"jti\":\"once%zu\",\"exp\":%llu}", client->number,
                       (unsigned long long)(world_wall_ms() + TOKEN_MS) / 1000);
    if (claims_parse(str_from(payload, (size_t)len), &client->claims, &error))
        world_fail("%s", error.text);
    len = snprintf(text, sizeof text, "jti%conce%zu", '\0', client->number); /* no issuer */
    ticket_key(str_from(text, (size_t)len), key);
    snprintf(client->key, sizeof client->key, "carillon:{%s}:token", key);
}

static struct ticket_client *issue(enum credential_kind kind)
{
    struct ticket_client *client = &tickets.all[tickets.count];
    struct sim_node *node = any_node();
    char key[TICKET_KEY_LEN + 1];
    if (!node || tickets.count == TICKET_CLIENTS_MAX)
        return NULL;
    *client = (struct ticket_client){.number = tickets.count++, .kind = kind, .comes_back = kind == CREDENTIAL_RESUME};
    snprintf(client->resource, sizeof client->resource, "r%zu", client->number);
    if (kind == CREDENTIAL_TOKEN) {
        make_token(client);
        return client;
    }
    ticket_make(client->ticket);
    ticket_key(ticket_client_ticket(client), key);
    snprintf(client->key, sizeof client->key, "carillon:{%s}:ticket", key);
    struct sim_worker *worker = &node->workers[world_below(CHANCE_PLAN, node->worker_count)];
    loop_post(worker->loop, send_issue, worker, client);
    return client;
}

/* ---- what is done with them ---- */

static void use(struct ticket_client *client, uint64_t times)
{
    for (; times > 0; times--) {
        struct sim_node *node = any_node();
        if (node)
            ticket_connection_begin(client, node,
                                    client->kind != CREDENTIAL_TOKEN && world_below(CHANCE_PLAN, 12) == 0);
    }
}

/* Whoever uses the ticket after that is a new client. */
static void end_in_order(struct ticket_connection *connection)
{
    for (size_t i = 0; i < TICKET_CHANNELS; i++)
        connection->client->positions[i].epoch[0] = '\0';
    ticket_connection_close(connection);
}

static void leave(struct ticket_client *client)
{
    struct ticket_connection *connection = ticket_connection_find(client, is_open);
    if (!connection)
        return;
    if (world_below(CHANCE_PLAN, 3) == 0) {
        end_in_order(connection);
        return;
    }
    ticket_connection_vanish(connection, world_below(CHANCE_PLAN, 2));
    come_back(client);
}

void tickets_act(void)
{
    if (tickets.count < TICKET_CLIENTS_MAX / 2 && (tickets.count == 0 || world_below(CHANCE_PLAN, 4) == 0)) {
        issue((enum credential_kind)world_below(CHANCE_PLAN, CREDENTIAL_KINDS));
        return;
    }
    struct ticket_client *client = &tickets.all[world_below(CHANCE_PLAN, tickets.count)];
    if (ticket_connection_find(client, is_open) && world_below(CHANCE_PLAN, 3))
        leave(client);
    else
        use(client, world_below(CHANCE_PLAN, 3) ? 1 : CROWD);
}

void tickets_note_fault(void)
{
    tickets.calm_at_us = world_now_us() + CALM_AFTER_US;
}

void tickets_note_loss(void)
{
    for (size_t i = 0; i < tickets.count; i++)
        tickets.all[i].excused = true;
}

/* ---- checks ---- */

static void run(uint64_t seconds)
{
    world_run_until(world_now_us() + seconds * SECOND_US);
}

static void publish(void)
{
    for (size_t i = 0; i < TICKET_CHANNELS; i++)
        backend_publish(truth_publish(ticket_channels[i], true));
}

static unsigned count_sessions(const struct ticket_client *client)
{
    return ticket_connection_find(client, has_session) ? 1 : 0;
}

static void check_positions(const struct ticket_client *client)
{
    for (size_t i = 0; i < TICKET_CHANNELS; i++) {
        struct str epoch;
        uint64_t offset;
        if (!truth_head(ticket_channels[i], &epoch, &offset) || !str_eq_cstr(epoch, client->positions[i].epoch) ||
            offset != client->positions[i].offset)
            wrong(client, "its client has not got the last event of a channel");
    }
}

/* Of several uses that were all answered, one got in. */
static void check_won(const struct ticket_client *client)
{
    if (!client->excused && !client->doubts && client->answers && !client->sessions &&
        (client->issued || client->kind == CREDENTIAL_TOKEN))
        wrong(client, "nobody got in with it");
}

static void check_back(const struct ticket_client *client)
{
    if (!client->issued)
        wrong(client, "it was not issued");
    else if (!count_sessions(client))
        wrong(client, "its client does not get in");
    else
        check_positions(client);
}

static void check_again(struct ticket_client *client)
{
    unsigned before = client->sessions;
    end_in_order(ticket_connection_find(client, is_open));
    run(1);
    use(client, 2);
    run(1);
    if (client->sessions != before)
        wrong(client, "it was used again after its client had ended in order");
}

/* Events are published before the connections are lost, and after it. The last client has just come. */
static void lose_all(struct ticket_client *last, void (*lose)(void))
{
    publish();
    run(2);
    ticket_connection_begin(last, any_node(), false);
    world_run_until(world_now_us() + 300000 + world_below(CHANCE_PLAN, 500000));
    lose();
    publish();
    run(TRIES);
}

void tickets_check(void (*lose)(void))
{
    enum { COUNT = 5, LAST = CREDENTIAL_RESUME + CREDENTIAL_KINDS };
    struct ticket_client *clients[COUNT];
    tickets.calm_at_us = world_now_us();
    for (size_t i = 0; i < COUNT; i++)
        clients[i] = issue((enum credential_kind)(i % CREDENTIAL_KINDS));
    run(1);
    for (size_t i = 0; i < COUNT; i++)
        if (i % CREDENTIAL_KINDS != CREDENTIAL_RESUME)
            use(clients[i], CROWD);
    ticket_connection_begin(clients[CREDENTIAL_RESUME], any_node(), false);
    run(3);
    lose_all(clients[LAST], lose);
    for (size_t i = 0; i < COUNT && !world_failure()[0]; i++)
        if (i % CREDENTIAL_KINDS != CREDENTIAL_RESUME)
            check_won(clients[i]);
    for (size_t i = CREDENTIAL_RESUME; i < COUNT && !world_failure()[0]; i += CREDENTIAL_KINDS)
        check_back(clients[i]);
    for (size_t i = CREDENTIAL_RESUME; i < COUNT && !world_failure()[0]; i += CREDENTIAL_KINDS)
        check_again(clients[i]);
}

/* ---- life ---- */

void tickets_begin(struct sim_node **nodes, size_t node_count)
{
    tickets = (struct tickets){.nodes = nodes, .node_count = node_count};
    ticket_connections_begin();
}

void tickets_end(void)
{
    ticket_connections_end();
    for (size_t i = 0; i < tickets.count; i++)
        if (tickets.all[i].claims)
            claims_unref(tickets.all[i].claims);
}
