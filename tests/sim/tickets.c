/* tickets.c - see tickets.h. A pass is a ticket or a token, and the client that has it. */
#include "tests/sim/tickets.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/json/json.h"
#include "tests/sim/backend.h"
#include "tests/sim/redis.h"
#include "tests/sim/ride.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

enum { PASSES_MAX = 32, CROWD = 10, TRIES = 12, SECOND_US = 1000000 };
enum { TOLD_US = 100000 };               /* Redis has a new session's places */
enum { CALM_AFTER_US = 20 * SECOND_US }; /* the longest fault, the lease, and the time of a command */
enum { PASS_MS = 600000, TOKEN_MS = 864000000 };

enum pass_kind { PASS_ONCE, PASS_RESUME, PASS_TOKEN, PASS_KINDS };

struct pass {
    size_t number;
    enum pass_kind kind;
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
    unsigned doubts;                    /* uses whose answer nobody has heard, or that were given back */
    unsigned answers;                   /* of uses in order */
    struct berth berths[RIDE_CHANNELS]; /* what the client has heard of all its sessions */
};

static struct tickets {
    struct sim_node **nodes;
    size_t node_count;
    struct pass all[PASSES_MAX];
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

static const struct key *find_in_redis(const struct pass *pass)
{
    return store_find(redis_store(), str_from_cstr(pass->key), world_wall_ms());
}

/* ---- what a ride asks ---- */

struct str pass_ticket(const struct pass *pass)
{
    return str_from(pass->ticket, TICKET_LEN);
}

struct str pass_resource(const struct pass *pass)
{
    return str_from_cstr(pass->resource);
}

struct claims *pass_claims(const struct pass *pass)
{
    return pass->kind == PASS_TOKEN ? pass->claims : NULL;
}

/* ---- who gets in ---- */

static void wrong(const struct pass *pass, const char *what)
{
    static const char *const kinds[PASS_KINDS] = {"ticket for one use", "ticket that resumes", "token"};
    world_fail("%s %zu: %s", kinds[pass->kind], pass->number, what);
}

static bool has_session(const struct ride *ride)
{
    return ride->session != NULL;
}

static bool is_open(const struct ride *ride)
{
    return ride->open && ride->session;
}

static void check_granted(const struct ride *ride)
{
    const struct pass *pass = ride->pass;
    if (ride->is_wrong)
        wrong(pass, "it was taken for a resource that it is not for");
    else if (pass->excused)
        return;
    else if (pass->kind != PASS_RESUME && pass->sessions)
        wrong(pass, "it has opened a session before");
    else if (!find_in_redis(pass))
        wrong(pass, "it was taken, and Redis does not know it");
    else if (is_calm() && pass->ended)
        wrong(pass, "it was taken after its client had ended in order");
    else if (is_calm() && ride_find(pass, has_session))
        wrong(pass, "two sessions have it at once");
}

/* Of a ticket that resumes. It may be held until the node of the session before has told Redis. */
static void check_refused(const struct ride *ride, enum ticket_outcome outcome)
{
    const struct pass *pass = ride->pass;
    if (ride->is_wrong || pass->excused || pass->ended || !pass->issued || !is_calm())
        return;
    if (outcome != TICKET_HELD)
        wrong(pass, "it was refused, and its last session was lost");
}

bool pass_answered(struct ride *ride, enum err err, bool granted, enum ticket_outcome outcome)
{
    struct pass *pass = ride->pass;
    bool gets_session = granted && world_below(CHANCE_PLAN, 10) > 0;
    const struct key *key = find_in_redis(pass);
    const struct str *places = key ? store_field(key, STR("positions")) : NULL;
    world_trace("pass %zu: %s, outcome %d, with %.*s", pass->number, err_code(err), (int)outcome,
                STR_ARG(places ? *places : STR("no places")));
    if (granted)
        check_granted(ride);
    else if (!err && pass->kind == PASS_RESUME)
        check_refused(ride, outcome);
    if (err || (granted && !gets_session))
        pass->doubts++;
    else
        pass->answers += !ride->is_wrong;
    ride->code = gets_session ? 0 : err || granted || outcome == TICKET_HELD ? 1013 : 1008;
    return gets_session;
}

void pass_begun(struct ride *ride)
{
    ride->pass->sessions++;
    ride->pass->tries = 0;
}

void pass_gone(struct ride *ride, int code)
{
    struct pass *pass = ride->pass;
    if (!code && ride->open && !ride->code)
        pass->doubts++; /* gone before the answer */
    if (code == 1000)
        pass->ended = true;
    if (is_calm() && ride->in_since_us && world_now_us() - ride->in_since_us > TOLD_US)
        pass->secured = true;
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
static void set_berth(struct ride *ride, size_t index, struct str epoch, uint64_t offset)
{
    struct berth *own = &ride->berths[index], *known = &ride->pass->berths[index];
    char text[EPOCH_MAX + 1];
    snprintf(text, sizeof text, "%.*s", STR_ARG(epoch));
    memcpy(own->epoch, text, sizeof text);
    own->offset = offset;
    if (strcmp(known->epoch, text) != 0 || known->offset < offset)
        *known = *own;
}

/* It goes on at or before the place where the client is; else it misses what lies between. */
static void hear_subscribed(struct ride *ride, size_t index, struct json_value data)
{
    struct pass *pass = ride->pass;
    const struct berth *known = &pass->berths[index];
    struct str had = str_from_cstr(known->epoch), epoch = text_of(data, "epoch");
    uint64_t offset = number_of(data, "offset");
    size_t channel = ride_channels[index];
    bool recovered = str_eq_cstr(json_member(data, STR("recovered")).raw, "true");
    if (recovered && !pass->excused && had.len && !str_eq(had, epoch))
        wrong(pass, "its session goes on in another epoch than the one before");
    else if (recovered && !pass->excused && had.len && offset > known->offset)
        wrong(pass, "its session goes on after events that the client has not got");
    else if (!recovered && pass->secured && is_calm() && sim_channels[channel].history.size >= 100 && had.len &&
             truth_can_recover(channel, had, known->offset, truth_record(channel, had, known->offset, ANY_NUMBER),
                               true))
        wrong(pass, "its session could go on where the one before was lost, and does not");
    ride->in[index] = true;
    ride->in_since_us = world_now_us();
    set_berth(ride, index, epoch, offset);
}

static void hear_event(struct ride *ride, size_t index, struct json_value whole)
{
    struct str epoch = str_from_cstr(ride->berths[index].epoch);
    uint64_t expected = ride->berths[index].offset + 1, offset = number_of(whole, "offset");
    uint64_t number = number_of(json_member(whole, STR("data")), "n");
    if (!ride->in[index])
        wrong(ride->pass, "an event without a subscription");
    else if (offset != expected)
        wrong(ride->pass, offset > expected ? "an event is missing" : "an event comes again in one session");
    else if (!truth_count(ride_channels[index], epoch, offset, number))
        wrong(ride->pass, "not the event of that position");
    set_berth(ride, index, epoch, offset);
}

static void hear_gap(struct ride *ride, size_t index, struct json_value data)
{
    set_berth(ride, index, text_of(data, "epoch"), number_of(data, "offset"));
}

void pass_hears(struct ride *ride, struct str text)
{
    struct json_value whole;
    if (json_check(text, NULL, &whole, NULL)) {
        world_fail("pass %zu does not understand %.*s", ride->pass->number, STR_ARG(text));
        return;
    }
    world_trace("pass %zu hears %.*s", ride->pass->number, STR_ARG(text));
    struct str type = text_of(whole, "type");
    size_t channel = sim_channel_find(text_of(whole, "channel"));
    for (size_t i = 0; i < RIDE_CHANNELS; i++) {
        if (ride_channels[i] != channel)
            continue;
        if (str_eq_cstr(type, "subscribed"))
            hear_subscribed(ride, i, json_member(whole, STR("data")));
        else if (str_eq_cstr(type, "note"))
            hear_event(ride, i, whole);
        else if (str_eq_cstr(type, "gap"))
            hear_gap(ride, i, json_member(whole, STR("data")));
    }
}

/* ---- they come back ---- */

static void come_again(void *owner, uint64_t number)
{
    struct pass *pass = &tickets.all[number];
    struct sim_node *node = any_node();
    (void)owner;
    if (pass->ended || ride_find(pass, is_open) || pass->tries > TRIES)
        return;
    pass->tries++;
    if (node)
        ride_begin(pass, node, false);
    else
        world_at(world_now_us() + SECOND_US, come_again, NULL, number);
}

static void come_back(struct pass *pass)
{
    if (pass->comes_back)
        world_at(world_now_us() + SECOND_US, come_again, NULL, pass->number);
}

void pass_ends(struct ride *ride)
{
    if (!ride->code || (ride->code >= 1011 && ride->code <= 1014))
        come_back(ride->pass);
}

/* ---- they are issued ---- */

static void on_issued(struct request *request, void *owner)
{
    struct pass *pass = request->waiter;
    (void)owner;
    pass->issued = !request->error;
    request_destroy(request);
}

/* In the worker's thread. */
static void send_issue(void *owner, void *argument)
{
    struct sim_worker *worker = owner;
    struct pass *pass = argument;
    char key[TICKET_KEY_LEN + 1];
    ticket_key(pass_ticket(pass), key);
    const struct ticket_facts facts = {.purpose = STR("chat"),
                                       .resource = pass_resource(pass),
                                       .claims = STR("{\"sub\":\"rider\"}"),
                                       .resumes = pass->kind == PASS_RESUME};
    struct ticket_request *request =
        ticket_request_create(TICKET_ISSUE, str_from(key, TICKET_KEY_LEN), &facts, STR(""), STR(""));
    request->ttl_ms = PASS_MS;
    request->max = SECOND_US;
    request->base.reply_to = &worker->mailbox;
    request->base.done = on_issued;
    request->base.waiter = pass;
    router_ask(&worker->node->real.router, &request->base);
}

static void make_token(struct pass *pass)
{
    char payload[128], text[40], key[TICKET_KEY_LEN + 1];
    struct error error;
    int len = snprintf(payload, sizeof payload, "{\"sub\":\"rider\",\"jti\":\"once%zu\",\"exp\":%llu}", pass->number,
                       (unsigned long long)(world_wall_ms() + TOKEN_MS) / 1000);
    if (claims_parse(str_from(payload, (size_t)len), &pass->claims, &error))
        world_fail("%s", error.text);
    len = snprintf(text, sizeof text, "jti%conce%zu", '\0', pass->number); /* no issuer */
    ticket_key(str_from(text, (size_t)len), key);
    snprintf(pass->key, sizeof pass->key, "carillon:{%s}:token", key);
}

static struct pass *issue(enum pass_kind kind)
{
    struct pass *pass = &tickets.all[tickets.count];
    struct sim_node *node = any_node();
    char key[TICKET_KEY_LEN + 1];
    if (!node || tickets.count == PASSES_MAX)
        return NULL;
    *pass = (struct pass){.number = tickets.count++, .kind = kind, .comes_back = kind == PASS_RESUME};
    snprintf(pass->resource, sizeof pass->resource, "r%zu", pass->number);
    if (kind == PASS_TOKEN) {
        make_token(pass);
        return pass;
    }
    ticket_make(pass->ticket);
    ticket_key(pass_ticket(pass), key);
    snprintf(pass->key, sizeof pass->key, "carillon:{%s}:ticket", key);
    struct sim_worker *worker = &node->workers[world_below(CHANCE_PLAN, node->worker_count)];
    loop_post(worker->loop, send_issue, worker, pass);
    return pass;
}

/* ---- what is done with them ---- */

static void use(struct pass *pass, uint64_t times)
{
    for (; times > 0; times--) {
        struct sim_node *node = any_node();
        if (node)
            ride_begin(pass, node, pass->kind != PASS_TOKEN && world_below(CHANCE_PLAN, 12) == 0);
    }
}

/* Whoever uses the ticket after that is a new client. */
static void end_in_order(struct ride *ride)
{
    for (size_t i = 0; i < RIDE_CHANNELS; i++)
        ride->pass->berths[i].epoch[0] = '\0';
    ride_close(ride);
}

static void leave(struct pass *pass)
{
    struct ride *ride = ride_find(pass, is_open);
    if (!ride)
        return;
    if (world_below(CHANCE_PLAN, 3) == 0) {
        end_in_order(ride);
        return;
    }
    ride_vanish(ride, world_below(CHANCE_PLAN, 2));
    come_back(pass);
}

void tickets_act(void)
{
    if (tickets.count < PASSES_MAX / 2 && (tickets.count == 0 || world_below(CHANCE_PLAN, 4) == 0)) {
        issue((enum pass_kind)world_below(CHANCE_PLAN, PASS_KINDS));
        return;
    }
    struct pass *pass = &tickets.all[world_below(CHANCE_PLAN, tickets.count)];
    if (ride_find(pass, is_open) && world_below(CHANCE_PLAN, 3))
        leave(pass);
    else
        use(pass, world_below(CHANCE_PLAN, 3) ? 1 : CROWD);
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
    for (size_t i = 0; i < RIDE_CHANNELS; i++)
        backend_publish(truth_publish(ride_channels[i], true));
}

static unsigned count_sessions(const struct pass *pass)
{
    return ride_find(pass, has_session) ? 1 : 0;
}

static void check_berths(const struct pass *pass)
{
    for (size_t i = 0; i < RIDE_CHANNELS; i++) {
        struct str epoch;
        uint64_t offset;
        if (!truth_head(ride_channels[i], &epoch, &offset) || !str_eq_cstr(epoch, pass->berths[i].epoch) ||
            offset != pass->berths[i].offset)
            wrong(pass, "its client has not got the last event of a channel");
    }
}

/* Of several uses that were all answered, one got in. */
static void check_won(const struct pass *pass)
{
    if (!pass->excused && !pass->doubts && pass->answers && !pass->sessions &&
        (pass->issued || pass->kind == PASS_TOKEN))
        wrong(pass, "nobody got in with it");
}

static void check_back(const struct pass *pass)
{
    if (!pass->issued)
        wrong(pass, "it was not issued");
    else if (!count_sessions(pass))
        wrong(pass, "its client does not get in");
    else
        check_berths(pass);
}

static void check_again(struct pass *pass)
{
    unsigned before = pass->sessions;
    end_in_order(ride_find(pass, is_open));
    run(1);
    use(pass, 2);
    run(1);
    if (pass->sessions != before)
        wrong(pass, "it was used again after its client had ended in order");
}

/* Events are published before the connections are lost, and after it. The last client has just come. */
static void lose_all(struct pass *last, void (*lose)(void))
{
    publish();
    run(2);
    ride_begin(last, any_node(), false);
    world_run_until(world_now_us() + 300000 + world_below(CHANCE_PLAN, 500000));
    lose();
    publish();
    run(TRIES);
}

void tickets_check(void (*lose)(void))
{
    enum { COUNT = 5, LAST = PASS_RESUME + PASS_KINDS };
    struct pass *passes[COUNT];
    tickets.calm_at_us = world_now_us();
    for (size_t i = 0; i < COUNT; i++)
        passes[i] = issue((enum pass_kind)(i % PASS_KINDS));
    run(1);
    for (size_t i = 0; i < COUNT; i++)
        if (i % PASS_KINDS != PASS_RESUME)
            use(passes[i], CROWD);
    ride_begin(passes[PASS_RESUME], any_node(), false);
    run(3);
    lose_all(passes[LAST], lose);
    for (size_t i = 0; i < COUNT && !world_failure()[0]; i++)
        if (i % PASS_KINDS != PASS_RESUME)
            check_won(passes[i]);
    for (size_t i = PASS_RESUME; i < COUNT && !world_failure()[0]; i += PASS_KINDS)
        check_back(passes[i]);
    for (size_t i = PASS_RESUME; i < COUNT && !world_failure()[0]; i += PASS_KINDS)
        check_again(passes[i]);
}

/* ---- life ---- */

void tickets_begin(struct sim_node **nodes, size_t node_count)
{
    tickets = (struct tickets){.nodes = nodes, .node_count = node_count};
    rides_begin();
}

void tickets_end(void)
{
    rides_end();
    for (size_t i = 0; i < tickets.count; i++)
        if (tickets.all[i].claims)
            claims_unref(tickets.all[i].claims);
}
