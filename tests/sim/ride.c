/* ride.c - see ride.h. */
#include "tests/sim/ride.h"

#include "common/base/alloc.h"
#include "common/protocol/ws_frame.h"
#include "server/dialect/carillon.h"
#include "tests/sim/journal.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

enum { DELAY_MIN_US = 50, DELAY_SPREAD_US = 2000, PING_US = 1000000, PONG_US = 1000000, USES_MAX = 1000000 };

const size_t ride_channels[RIDE_CHANNELS] = {0, 2};

/* What comes from the client. */
enum up { UP_PONG, UP_CLOSE, UP_END };

static struct rides {
    struct list_link all;
    struct endpoint endpoint;
} rides;

static uint64_t next_due_us(uint64_t *last_us)
{
    uint64_t due_us = world_now_us() + DELAY_MIN_US + world_below(CHANCE_NETWORK, DELAY_SPREAD_US);
    return *last_us = due_us > *last_us ? due_us : *last_us;
}

/* ---- from the client ---- */

static void be_gone(struct ride *ride);

static void take_up(void *owner, void *argument)
{
    struct ride *ride = owner;
    struct hub *hub = ride->worker->hub;
    enum up up = (enum up)(uintptr_t)argument;
    if (ride->gone)
        return;
    turn_begin(ride->worker->turn);
    if (up == UP_PONG && ride->session) {
        hub_pong(hub, ride->session);
    } else if (up == UP_CLOSE && ride->session && ride->session->state == SESSION_OPEN) {
        session_end_with(ride->session, 1000, STR("")); /* the answer is followed by the end */
    } else if (up != UP_PONG) {
        if (up == UP_CLOSE && ride->session)
            hub_close_answered(hub, ride->session);
        be_gone(ride);
    }
}

static void arrive_up(void *owner, uint64_t up)
{
    struct ride *ride = owner;
    if (!ride->gone)
        loop_post(ride->worker->loop, take_up, ride, (void *)(uintptr_t)up);
}

static void send_up(struct ride *ride, enum up up)
{
    world_at(next_due_us(&ride->up_due_us), arrive_up, ride, up);
}

/* ---- to the client ---- */

struct parcel {
    struct ride *ride;
    bool end;
    size_t len;
    char bytes[];
};

static void take_message(struct ride *ride, const struct ws_message *message)
{
    if (message->opcode == WS_TEXT) {
        pass_hears(ride, message->payload);
    } else if (message->opcode == WS_PING) {
        send_up(ride, UP_PONG);
    } else if (message->opcode == WS_CLOSE) {
        ride->code = message->close_code;
        if (!ride->closed)
            send_up(ride, UP_CLOSE);
        ride->closed = true;
    }
}

static void arrive_down(void *owner, uint64_t number)
{
    struct parcel *parcel = owner;
    struct ride *ride = parcel->ride;
    struct str bytes = str_from(parcel->bytes, parcel->len);
    struct ws_message message;
    struct error error;
    (void)number;
    while (ride->open && bytes.len && ws_decoder_next(&ride->decoder, &bytes, &message, &error) == WS_DECODED_MESSAGE)
        take_message(ride, &message);
    if (parcel->end && ride->open) {
        ride->open = false;
        pass_ends(ride);
    }
    free(parcel);
}

static void send_down(struct ride *ride, bool end, struct str bytes)
{
    struct parcel *parcel = xmalloc(sizeof *parcel + bytes.len);
    *parcel = (struct parcel){.ride = ride, .end = end, .len = bytes.len};
    if (bytes.len)
        memcpy(parcel->bytes, bytes.ptr, bytes.len);
    world_at(next_due_us(&ride->down_due_us), arrive_down, parcel, 0);
}

/* ---- at the node ---- */

static void be_gone(struct ride *ride)
{
    int code = 0;
    if (ride->gone)
        return;
    ride->gone = true;
    turn_begin(ride->worker->turn);
    if (ride->ticket)
        session_ticket_leave(ride->ticket);
    if (ride->use)
        single_use_stop_waiting(ride->use);
    if (ride->session) {
        code = ride->session->state == SESSION_OPEN ? CLOSE_LOST : (int)ride->session->closing_code;
        journal_closed(ride->session->uuid);
        hub_gone(ride->worker->hub, ride->session);
    }
    ride->ticket = NULL;
    ride->use = NULL;
    ride->session = NULL;
    pass_gone(ride, code);
    send_down(ride, true, STR(""));
}

static void deliver_gone(void *owner, void *argument)
{
    (void)argument;
    be_gone(owner);
}

/* What a client that is gone is sent is lost on the way: the node does not know. */
static enum write_result carry(struct session *session, struct str frames, uint32_t *out_unsent)
{
    struct ride *ride = session->transport;
    *out_unsent = 0;
    if (ride->gone)
        return WRITE_FAILED;
    send_down(ride, false, frames);
    return WRITE_ALL;
}

/* It ends once the client has answered. */
static void finish(struct session *session, bool abrupt)
{
    struct ride *ride = session->transport;
    if (abrupt || ride->closed)
        loop_post(ride->worker->loop, deliver_gone, ride, NULL);
}

static const struct transport_ops transport = {.write = carry, .finish = finish, .framing = &ws_framing};

static void begin_session(struct ride *ride, struct claims *claims)
{
    struct first_channel channels[RIDE_CHANNELS];
    for (size_t i = 0; i < RIDE_CHANNELS; i++)
        channels[i] = (struct first_channel){.name = str_from_cstr(sim_channels[ride_channels[i]].name)};
    const struct session_start start = {.claims = claims,
                                        .address = STR("192.0.2.2"),
                                        .endpoint = &rides.endpoint,
                                        .ops = &transport,
                                        .ticket = ride->ticket,
                                        .transport = ride,
                                        .channels = channels,
                                        .channel_count = RIDE_CHANNELS};
    ride->ticket = NULL;
    turn_begin(ride->worker->turn);
    ride->session = hub_open(ride->worker->hub, &start);
    journal_opened(ride->worker->node, ride->session->uuid);
    pass_begun(ride);
}

static void ticket_answered(void *waiter, enum err err, enum ticket_outcome outcome)
{
    struct ride *ride = waiter;
    struct claims *claims;
    struct error error;
    if (!pass_answered(ride, err, err == ERR_NONE && outcome == TICKET_DONE, outcome)) {
        be_gone(ride);
    } else if (claims_parse(session_ticket_claims(ride->ticket), &claims, &error)) {
        world_fail("the claims of a ticket: %s", error.text);
    } else {
        begin_session(ride, claims);
        claims_unref(claims);
    }
}

static void token_answered(void *waiter, enum err err, bool first)
{
    struct ride *ride = waiter;
    ride->use = NULL;
    if (pass_answered(ride, err, err == ERR_NONE && first, first ? TICKET_DONE : TICKET_USED))
        begin_session(ride, pass_claims(ride->pass));
    else
        be_gone(ride);
}

static void knock(void *owner, void *argument)
{
    struct ride *ride = owner;
    struct hub *hub = ride->worker->hub;
    struct claims *claims = pass_claims(ride->pass);
    (void)argument;
    if (ride->gone)
        return;
    turn_begin(ride->worker->turn);
    if (claims) {
        const struct single_use_question question = {.claims = claims, .max = USES_MAX};
        ride->use = single_use_ask(hub, &question, token_answered, ride);
        return;
    }
    const struct ticket_wish wish = {.ticket = pass_ticket(ride->pass),
                                     .purpose = STR("chat"),
                                     .resource = ride->is_wrong ? STR("another") : pass_resource(ride->pass)};
    ride->ticket = session_ticket_use(hub, &wish, ticket_answered, ride);
}

static void arrive(void *owner, uint64_t number)
{
    struct ride *ride = owner;
    (void)number;
    if (!ride->gone)
        loop_post(ride->worker->loop, knock, ride, NULL);
}

void ride_lose_all(struct sim_worker *worker)
{
    LIST_EACH(link, &rides.all)
    {
        struct ride *ride = CONTAINER_OF(link, struct ride, link);
        if (ride->worker == worker)
            be_gone(ride);
    }
}

/* ---- what clients do ---- */

struct ride *ride_begin(struct pass *pass, struct sim_node *node, bool is_wrong)
{
    struct ride *ride = xcalloc(1, sizeof *ride);
    ride->pass = pass;
    ride->worker = &node->workers[world_below(CHANCE_PLAN, node->worker_count)];
    ride->is_wrong = is_wrong;
    ride->open = true;
    list_append(&rides.all, &ride->link);
    world_at(next_due_us(&ride->up_due_us), arrive, ride, 0);
    return ride;
}

void ride_close(struct ride *ride)
{
    ride->closed = true;
    ride->open = false;
    send_up(ride, UP_CLOSE);
}

void ride_vanish(struct ride *ride, bool silently)
{
    ride->open = false;
    if (!silently)
        send_up(ride, UP_END);
}

struct ride *ride_find(const struct pass *pass, bool (*holds)(const struct ride *ride))
{
    LIST_EACH(link, &rides.all)
    {
        struct ride *ride = CONTAINER_OF(link, struct ride, link);
        if (ride->pass == pass && holds(ride))
            return ride;
    }
    return NULL;
}

/* ---- life ---- */

void rides_begin(void)
{
    memset(&rides, 0, sizeof rides);
    list_init(&rides.all);
    endpoint_init(&rides.endpoint, &carillon_dialect, NULL);
    rides.endpoint.limits = (struct endpoint_limits){.message_bytes = 65536, .channels = RIDE_CHANNELS};
    rides.endpoint.ping_interval_us = PING_US;
    rides.endpoint.pong_timeout_us = PONG_US;
    rides.endpoint.close_codes.code[REASON_PONG_TIMEOUT] = 1012;
    rides.endpoint.close_codes.code[REASON_GOING_AWAY] = 1012;
}

void rides_end(void)
{
    for (struct list_link *link; (link = list_take_first(&rides.all));) {
        struct ride *ride = CONTAINER_OF(link, struct ride, link);
        ws_decoder_fini(&ride->decoder);
        free(ride);
    }
}
