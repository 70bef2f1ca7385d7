/* memory_tickets.c - see memory_tickets.h. It does what server/broker/redis/scripts/ticket.lua does. */
#include "server/broker/memory/memory_tickets.h"

#include "common/base/alloc.h"

enum { LOOKED_AT = 4 };                   /* at each step */
static const uint64_t SWEEP_US = 1000000; /* between two looks at all */

struct memory_ticket {
    struct list_link link; /* in memory_tickets.in_turn */
    uint64_t ends_us;      /* it is forgotten then */
    bool used;             /* also a token's */
    bool wanted;
    uint64_t held_until_us;
    char holder[TICKET_HOLDER_LEN + 1]; /* "": nobody */
    char *positions;                    /* owned; NULL: none */
    size_t positions_len;
    struct ticket_facts facts; /* their texts lie in bytes, behind the key */
    struct str key;
    char bytes[];
};

/* ---- memory ---- */

static void forget(struct memory_tickets *tickets, struct memory_ticket *ticket)
{
    map_remove(&tickets->by_key, ticket->key);
    list_remove(&ticket->link);
    free(ticket->positions);
    free(ticket);
}

/* Looks at the next ones in turn. */
static void forget_some(struct memory_tickets *tickets, size_t count, uint64_t now_us)
{
    for (size_t i = 0; i < count && !list_is_empty(&tickets->in_turn); i++) {
        struct memory_ticket *ticket = CONTAINER_OF(tickets->in_turn.next, struct memory_ticket, link);
        if (ticket->ends_us <= now_us) {
            forget(tickets, ticket);
        } else {
            list_remove(&ticket->link);
            list_append(&tickets->in_turn, &ticket->link);
        }
    }
}

static bool has_room(struct memory_tickets *tickets, uint64_t max, uint64_t now_us)
{
    if (tickets->by_key.count >= max && now_us - tickets->swept_us >= SWEEP_US) {
        tickets->swept_us = now_us;
        forget_some(tickets, tickets->by_key.count, now_us);
    }
    return tickets->by_key.count < max;
}

void memory_tickets_init(struct memory_tickets *tickets)
{
    *tickets = (struct memory_tickets){.swept_us = 0};
    list_init(&tickets->in_turn);
}

void memory_tickets_fini(struct memory_tickets *tickets)
{
    forget_some(tickets, tickets->by_key.count, UINT64_MAX);
    map_fini(&tickets->by_key);
}

/* ---- steps ---- */

static struct memory_ticket *keep(struct memory_tickets *tickets, const struct ticket_request *request, uint64_t now_us)
{
    const struct ticket_facts *facts = &request->facts;
    size_t len = request->key.len + facts->purpose.len + facts->resource.len + facts->claims.len;
    struct memory_ticket *ticket = xcalloc(1, sizeof *ticket + len);
    char *at = ticket->bytes;
    ticket->ends_us = now_us + request->ttl_ms * 1000;
    ticket->key = str_pack(&at, request->key);
    ticket->facts = (struct ticket_facts){
        .purpose = str_pack(&at, facts->purpose),
        .resource = str_pack(&at, facts->resource),
        .claims = str_pack(&at, facts->claims),
        .resumes = facts->resumes,
    };
    map_put(&tickets->by_key, ticket->key, ticket);
    list_append(&tickets->in_turn, &ticket->link);
    return ticket;
}

static void add(struct memory_tickets *tickets, struct ticket_request *request, uint64_t now_us)
{
    if (has_room(tickets, request->max, now_us))
        keep(tickets, request, now_us)->used = request->action == TICKET_SPEND;
    else
        request_fail(&request->base, ERR_UNAVAILABLE,
                     "%llu tickets and used tokens are kept, which is the limit (tickets.max); try again later",
                     (unsigned long long)request->max);
}

static void set_holder(struct memory_ticket *ticket, const struct ticket_request *request)
{
    size_t len = request->holder.len < TICKET_HOLDER_LEN ? request->holder.len : TICKET_HOLDER_LEN;
    memcpy(ticket->holder, request->holder.ptr, len);
    ticket->holder[len] = '\0';
}

static void hold(struct memory_ticket *ticket, const struct ticket_request *request, uint64_t now_us)
{
    set_holder(ticket, request);
    ticket->held_until_us = now_us + request->lease_ms * 1000;
    ticket->ends_us = ticket->held_until_us + request->resume_ms * 1000;
}

static void set_positions(struct memory_ticket *ticket, struct str positions)
{
    free(ticket->positions);
    ticket->positions = positions.len ? str_dup(positions) : NULL;
    ticket->positions_len = positions.len;
}

static enum ticket_outcome use(struct memory_ticket *ticket, struct ticket_request *request, uint64_t now_us)
{
    if (!ticket)
        return TICKET_UNKNOWN;
    if ((!request->any_purpose && !str_eq(ticket->facts.purpose, request->facts.purpose)) ||
        (!request->any_resource && !str_eq(ticket->facts.resource, request->facts.resource)))
        return TICKET_WRONG;
    if (ticket->used)
        return TICKET_USED;
    if (!ticket->facts.resumes) {
        ticket->used = true;
        set_holder(ticket, request);
    } else if (ticket->holder[0] && ticket->held_until_us > now_us && !str_eq_cstr(request->holder, ticket->holder)) {
        ticket->wanted = true;
        return TICKET_HELD;
    } else {
        hold(ticket, request, now_us);
        ticket->wanted = false;
    }
    ticket_request_tell(request, &ticket->facts, str_from(ticket->positions, ticket->positions_len));
    return TICKET_DONE;
}

static enum ticket_outcome prolong(struct memory_tickets *tickets, struct memory_ticket *ticket,
                                   const struct ticket_request *request, uint64_t now_us)
{
    if (!ticket)
        ticket = keep(tickets, request, now_us);
    else if (ticket->used || (ticket->holder[0] && !str_eq_cstr(request->holder, ticket->holder)))
        return TICKET_USED;
    bool wanted = ticket->wanted;
    set_positions(ticket, request->positions);
    hold(ticket, request, now_us);
    ticket->wanted = false;
    return wanted ? TICKET_WANTED : TICKET_DONE;
}

static enum ticket_outcome let_go(struct memory_ticket *ticket, const struct ticket_request *request, uint64_t now_us)
{
    if (!ticket || !ticket->holder[0] || !str_eq_cstr(request->holder, ticket->holder))
        return TICKET_UNKNOWN;
    ticket->holder[0] = '\0';
    ticket->wanted = false;
    if (request->action != TICKET_LOST)
        ticket->used = request->action == TICKET_END;
    if (request->action == TICKET_LOST) {
        set_positions(ticket, request->positions);
        ticket->ends_us = now_us + request->resume_ms * 1000;
    }
    return TICKET_DONE;
}

void memory_tickets_carry_out(struct memory_tickets *tickets, struct ticket_request *request, uint64_t now_us)
{
    struct memory_ticket *ticket = map_get(&tickets->by_key, request->key);
    if (ticket && ticket->ends_us <= now_us) {
        forget(tickets, ticket);
        ticket = NULL;
    }
    switch (request->action) {
    case TICKET_SPEND:
        if (ticket) {
            request->outcome = TICKET_USED;
            break;
        }
        add(tickets, request, now_us);
        break;
    case TICKET_ISSUE:
        if (ticket)
            forget(tickets, ticket);
        add(tickets, request, now_us);
        break;
    case TICKET_USE: request->outcome = use(ticket, request, now_us); break;
    case TICKET_KEEP: request->outcome = prolong(tickets, ticket, request, now_us); break;
    case TICKET_FREE:
    case TICKET_LOST:
    case TICKET_END: request->outcome = let_go(ticket, request, now_us); break;
    }
    forget_some(tickets, LOOKED_AT, now_us);
}
