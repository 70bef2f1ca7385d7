/* session_ticket.c - see session_ticket.h. At most one request for a ticket is under way. Later requests wait for its
 * answer. The last request (free, lost or end) is repeated until the broker has answered it, or until the ticket's time
 * is over there. */
#include "server/core/session_ticket.h"

#include "common/base/alloc.h"
#include "server/core/hub_private.h"

static const uint64_t PROBE_US = 2000000; /* a client whose ticket another one wants has so long to answer a ping */

/* A place in a channel's history. */
struct ticket_place {
    char epoch[EPOCH_MAX + 1]; /* "": none */
    uint64_t offset;
    char id[POSITION_ID_MAX + 1];
};

/* One of the session's first channels. */
struct ticket_channel {
    struct str name;            /* in the same allocation */
    struct ticket_place had;    /* the client surely has what came before */
    struct ticket_place marked; /* the same once the next proof has come */
};

struct session_ticket {
    struct hub *hub;
    struct list_link link;   /* in hub->tickets */
    struct session *session; /* NULL: none yet, or it has ended */
    struct session_id session_id;
    char key[TICKET_KEY_LEN + 1];
    char holder[TICKET_HOLDER_LEN + 1];
    struct ticket_request *used; /* owned: the answer to TICKET_USE, with facts and positions. NULL: not had */
    enum ticket_action next;     /* what the broker is told next */
    bool asked;                  /* a request is under way */
    bool again;                  /* something has changed since */
    bool left;                   /* its last word is being said */
    bool is_marked;              /* a ping, or a close frame, has been sent that is not answered */
    uint64_t tried_until_us;     /* of the last word */
    void (*answered)(void *waiter, enum err err, enum ticket_outcome outcome); /* NULL: nobody waits */
    void *waiter;
    struct timer timer;              /* next renewal, or next try of the last word */
    struct timer probe;              /* until the answer to a ping comes */
    struct ticket_channel *channels; /* NULL: none */
    size_t channel_count;
};

/* ---- the text of positions: a line "epoch offset id channel" for each channel ---- */

static void write_positions(const struct session_ticket *ticket, struct buf *out)
{
    for (size_t i = 0; i < ticket->channel_count; i++) {
        const struct ticket_channel *channel = &ticket->channels[i];
        size_t before = out->len;
        if (!channel->had.epoch[0])
            continue;
        buf_appendf(out, "%s %llu %s ", channel->had.epoch, (unsigned long long)channel->had.offset,
                    channel->had.id[0] ? channel->had.id : "-");
        buf_append(out, channel->name);
        buf_append_char(out, '\n');
        if (out->len > TICKET_POSITIONS_MAX) {
            out->len = before;
            return;
        }
    }
}

static bool copy_text(char *out, size_t max, struct str text)
{
    if (!text.ptr || text.len > max)
        return false;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

/* False: there is no good line for the channel. */
static bool read_position(struct str text, struct str channel, struct ticket_place *out)
{
    while (text.ptr && text.len > 0) {
        struct str line = str_split(&text, '\n');
        struct str epoch = str_split(&line, ' '), offset = str_split(&line, ' '), id = str_split(&line, ' ');
        if (!line.ptr || !str_eq(line, channel))
            continue;
        return copy_text(out->epoch, EPOCH_MAX, epoch) && out->epoch[0] && str_to_u64(offset, &out->offset) &&
               copy_text(out->id, POSITION_ID_MAX, str_eq(id, STR("-")) ? STR("") : id);
    }
    return false;
}

/* ---- talking to the broker ---- */

static void tell(struct session_ticket *ticket);

static void forget(struct session_ticket *ticket)
{
    struct hub *hub = ticket->hub;
    wheel_stop(&hub->wheel, &ticket->timer);
    wheel_stop(&hub->wheel, &ticket->probe);
    list_remove(&ticket->link);
    if (ticket->used)
        request_destroy(&ticket->used->base);
    free(ticket->channels);
    free(ticket);
}

static void on_timer(struct timer *timer, uint64_t now_us)
{
    (void)now_us;
    tell(CONTAINER_OF(timer, struct session_ticket, timer));
}

static void tell_after(struct session_ticket *ticket, uint64_t delay_us)
{
    struct hub *hub = ticket->hub;
    wheel_start(&hub->wheel, &ticket->timer, hub->now_us + delay_us, on_timer);
}

static uint64_t third_us(const struct session_ticket *ticket)
{
    return ticket->hub->settings.ticket_lease_ms * 1000 / 3;
}

static void send(struct session_ticket *ticket, struct ticket_request *request,
                 void (*done)(struct request *request, void *owner))
{
    struct hub *hub = ticket->hub;
    request->lease_ms = hub->settings.ticket_lease_ms;
    request->resume_ms = hub->settings.ticket_resume_ms;
    request->base.reply_to = hub->replies;
    request->base.done = done;
    request->base.waiter = ticket;
    ticket->asked = true;
    hub->node->ask(hub->node_owner, &request->base);
}

/* A client that does not answer any more would keep its ticket from its own next connection until the pong timeout. */
static void on_probe_over(struct timer *timer, uint64_t now_us)
{
    struct session_ticket *ticket = CONTAINER_OF(timer, struct session_ticket, probe);
    (void)now_us;
    if (ticket->session && !ticket->session->held)
        session_end(ticket->session, REASON_PONG_TIMEOUT);
}

static void probe(struct session_ticket *ticket)
{
    struct hub *hub = ticket->hub;
    if (timer_is_running(&ticket->probe) || !liveness_probe(hub, ticket->session))
        return;
    wheel_start(&hub->wheel, &ticket->probe, hub->now_us + PROBE_US, on_probe_over);
}

/* The broker has heard the last word, or it has not. */
static void go_on_leaving(struct session_ticket *ticket, bool heard)
{
    if (heard || ticket->hub->now_us >= ticket->tried_until_us)
        forget(ticket);
    else
        tell_after(ticket, third_us(ticket));
}

static void told(struct request *base, void *owner)
{
    struct session_ticket *ticket = base->waiter;
    const struct ticket_request *request = ticket_request_of(base);
    enum err err = request_code(base);
    enum ticket_outcome outcome = request->outcome;
    bool is_last = request->action != TICKET_KEEP;
    (void)owner;
    request_destroy(base);
    ticket->asked = false;
    if (is_last) {
        go_on_leaving(ticket, err == ERR_NONE);
        return;
    }
    if (ticket->left || ticket->again) {
        tell(ticket);
        return;
    }
    tell_after(ticket, third_us(ticket));
    if (err || !ticket->session || ticket->session->state != SESSION_OPEN)
        return;
    if (outcome == TICKET_USED)
        session_end(ticket->session, REASON_TICKET_USED);
    else if (outcome == TICKET_WANTED)
        probe(ticket);
}

static void tell(struct session_ticket *ticket)
{
    struct buf positions = {0};
    if (ticket->asked) {
        ticket->again = true;
        return;
    }
    ticket->again = false;
    if (ticket->channels)
        write_positions(ticket, &positions);
    else if (ticket->used) /* there is no session yet: those of the one before */
        buf_append(&positions, ticket->used->positions);
    const struct ticket_facts *facts = ticket->next == TICKET_KEEP ? &ticket->used->facts : NULL;
    send(ticket,
         ticket_request_create(ticket->next, str_from(ticket->key, TICKET_KEY_LEN), facts,
                               str_from_cstr(ticket->holder), buf_str(&positions)),
         told);
    buf_fini(&positions);
}

/* ---- before the session ---- */

static void used(struct request *base, void *owner)
{
    struct session_ticket *ticket = base->waiter;
    struct ticket_request *request = ticket_request_of(base);
    enum err err = request_code(base);
    enum ticket_outcome outcome = request->outcome;
    (void)owner;
    ticket->asked = false;
    if (err == ERR_NONE && outcome == TICKET_DONE) {
        ticket->used = request;
        metrics_add(ticket->hub->metrics, METRIC_TICKETS_USED, 1);
    } else {
        request_destroy(base);
    }
    if (ticket->left) {
        if (ticket->used || err)
            tell(ticket);
        else
            forget(ticket);
        return;
    }
    if (ticket->used && ticket->used->facts.resumes)
        tell_after(ticket, third_us(ticket));
    else if (!ticket->used && !err)
        ticket->next = TICKET_USE; /* there is nothing to give back */
    if (ticket->answered)
        ticket->answered(ticket->waiter, err, outcome);
}

struct session_ticket *session_ticket_use(struct hub *hub, const struct ticket_question *question,
                                          void (*answered)(void *waiter, enum err err, enum ticket_outcome outcome),
                                          void *waiter)
{
    struct session_ticket *ticket = xcalloc(1, sizeof *ticket);
    const struct ticket_facts facts = {.purpose = question->purpose, .resource = question->resource};
    ticket->hub = hub;
    ticket->next = TICKET_KEEP;
    ticket->answered = answered;
    ticket->waiter = waiter;
    ticket_key(question->ticket, ticket->key);
    ticket_make(ticket->holder);
    list_append(&hub->tickets, &ticket->link);
    struct ticket_request *request = ticket_request_create(TICKET_USE, str_from(ticket->key, TICKET_KEY_LEN), &facts,
                                                           str_from_cstr(ticket->holder), STR(""));
    request->any_purpose = question->any_purpose;
    request->any_resource = question->any_resource;
    send(ticket, request, used);
    return ticket;
}

void session_ticket_stop_waiting(struct session_ticket *ticket)
{
    ticket->answered = NULL;
}

struct str session_ticket_claims(const struct session_ticket *ticket)
{
    return ticket->used->facts.claims;
}

/* The last word. Once a ticket that resumes has been let go for lease and resume time, the broker has forgotten it. */
static void leave(struct session_ticket *ticket, enum ticket_action action)
{
    struct hub *hub = ticket->hub;
    bool has_nothing = ticket->next == TICKET_USE;
    ticket->answered = NULL;
    ticket->left = true;
    ticket->next = action;
    ticket->tried_until_us = hub->now_us + (hub->settings.ticket_lease_ms + hub->settings.ticket_resume_ms) * 1000;
    wheel_stop(&hub->wheel, &ticket->timer);
    wheel_stop(&hub->wheel, &ticket->probe);
    if (has_nothing)
        forget(ticket);
    else if (!ticket->asked)
        tell(ticket);
}

void session_ticket_leave(struct session_ticket *ticket)
{
    leave(ticket, TICKET_FREE);
}

/* ---- with the session ---- */

static struct session_ticket *ticket_of(const struct session *session)
{
    return map_get(&session->hub->tickets_by_session, str_from((const char *)&session->id, sizeof session->id));
}

void session_ticket_begin(struct session_ticket *ticket, struct session *session, const struct first_channel *channels,
                          size_t count)
{
    struct hub *hub = ticket->hub;
    size_t len = 0;
    if (!ticket->used->facts.resumes) { /* used for good: there is nothing more to say */
        forget(ticket);
        return;
    }
    for (size_t i = 0; i < count; i++)
        len += channels[i].name.len;
    ticket->channels = xcalloc(1, count * sizeof *ticket->channels + len + 1);
    ticket->channel_count = count;
    char *at = (char *)&ticket->channels[count];
    for (size_t i = 0; i < count; i++) {
        struct ticket_place *had = &ticket->channels[i].had;
        ticket->channels[i].name = str_pack(&at, channels[i].name);
        if (!read_position(ticket->used->positions, channels[i].name, had))
            *had = (struct ticket_place){.offset = 0};
        ticket->channels[i].marked = *had;
    }
    ticket->session = session;
    ticket->session_id = session->id;
    session->has_ticket = true;
    map_put(&hub->tickets_by_session, str_from((const char *)&ticket->session_id, sizeof ticket->session_id), ticket);
    metrics_gauge_add(hub->metrics, METRIC_TICKETS_HELD, 1);
}

static struct ticket_channel *find_channel(const struct session_ticket *ticket, struct str name)
{
    for (size_t i = 0; i < ticket->channel_count; i++)
        if (str_eq(ticket->channels[i].name, name))
            return &ticket->channels[i];
    return NULL;
}

bool session_ticket_since(const struct session *session, struct str name, struct position *out)
{
    const struct ticket_channel *channel = find_channel(ticket_of(session), name);
    if (!channel || !channel->had.epoch[0])
        return false;
    *out = (struct position){str_from_cstr(channel->had.epoch), channel->had.offset, str_from_cstr(channel->had.id)};
    return true;
}

static void set_place(struct ticket_place *place, const struct position *position)
{
    if (position->epoch.len > EPOCH_MAX)
        return;
    *place = (struct ticket_place){.offset = position->offset};
    memcpy(place->epoch, position->epoch.ptr, position->epoch.len);
    position_keep_id(place->id, position->id);
}

static void note_subscribed(const struct session *session, const struct channel *channel)
{
    struct session_ticket *ticket = ticket_of(session);
    struct ticket_channel *own = find_channel(ticket, channel->name);
    struct position position = channel_position(channel);
    if (!own || own->had.epoch[0] || position.epoch.len == 0)
        return;
    set_place(&own->had, &position);
    own->marked = own->had;
    if (ticket->asked)
        ticket->again = true; /* the answer would set the timer to the next renewal */
    else
        tell_after(ticket, 0); /* together with the other channels of this turn */
}

/* How far the session has got: what is behind that has been queued for it. */
static void mark(struct session *session, struct ticket_channel *own)
{
    const struct subscription *subscription = subscription_find(session, own->name);
    if (!subscription || !subscription->confirmed)
        return;
    struct position position = channel_position(subscription->channel);
    if (subscription->recovering) {
        const struct recovering_subscriber *entry = subscription_recovering(subscription);
        position = (struct position){str_from_cstr(entry->epoch), entry->offset, STR("")};
    }
    if (position.epoch.len > 0)
        set_place(&own->marked, &position);
}

static void mark_all(struct session_ticket *ticket)
{
    for (size_t i = 0; i < ticket->channel_count; i++)
        mark(ticket->session, &ticket->channels[i]);
    ticket->is_marked = true;
}

/* While a ping is not answered, a later one proves no more than that one: the client may answer either. */
static void note_pinged(struct session *session)
{
    struct session_ticket *ticket = ticket_of(session);
    if (!ticket->is_marked)
        mark_all(ticket);
}

/* The session's end has been decided, and nothing more is queued for it. A message for which there was no room has not
 * been queued either. */
static void note_ending(struct session *session)
{
    struct session_ticket *ticket = ticket_of(session);
    ticket->is_marked = false;
    if (session->closing_reason != REASON_SLOW_CONSUMER)
        mark_all(ticket);
}

void session_ticket_proven(struct session *session)
{
    struct session_ticket *ticket = ticket_of(session);
    wheel_stop(&session->hub->wheel, &ticket->probe);
    for (size_t i = 0; ticket->is_marked && i < ticket->channel_count; i++)
        ticket->channels[i].had = ticket->channels[i].marked;
    ticket->is_marked = false;
}

/* The codes after which clients connect again (RFC 6455, 7.4.1; the IANA registry has 1012 to 1014). */
static bool is_lost(int code)
{
    return code == CLOSE_LOST || (code >= 1011 && code <= 1014);
}

void session_ticket_end(struct session *session)
{
    struct session_ticket *ticket = ticket_of(session);
    struct hub *hub = session->hub;
    map_remove(&hub->tickets_by_session, str_from((const char *)&session->id, sizeof session->id));
    metrics_gauge_add(hub->metrics, METRIC_TICKETS_HELD, -1);
    session->has_ticket = false;
    ticket->session = NULL;
    leave(ticket, is_lost(session->closing_code) ? TICKET_LOST : TICKET_END);
}

/* ---- with the hub ---- */

static const struct ticket_events events = {
    .subscribed = note_subscribed, .pinged = note_pinged, .ending = note_ending};

void session_tickets_init(struct hub *hub)
{
    list_init(&hub->tickets);
    hub->ticket_events = &events;
}

void session_tickets_fini(struct hub *hub)
{
    LIST_EACH(link, &hub->tickets)
    forget(CONTAINER_OF(link, struct session_ticket, link));
    map_fini(&hub->tickets_by_session);
}
