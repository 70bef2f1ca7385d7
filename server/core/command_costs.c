/* command_costs.c - what a command costs, counted in messages of the session's rate. A command that makes others work,
 * or that keeps much memory, costs more than one message. Too many bad messages in a row end the session. */
#include "server/core/hub_private.h"

/* The token's own word counts, also where it allows more; a burst is at most a minute's worth of it. */
static struct rate_limit rate_limit_of(const struct session *session)
{
    const struct endpoint_limits *limits = &session->endpoint->limits;
    uint64_t claimed = session->claims->rate_limit, burst = limits->message_burst;
    if (claimed)
        return (struct rate_limit){.per_minute = claimed, .burst = burst < claimed ? burst : claimed};
    return (struct rate_limit){.per_minute = limits->message_rate_per_minute, .burst = burst};
}

bool command_pay(struct session *session, uint64_t cost, uint64_t *out_retry_us)
{
    const struct rate_limit limit = rate_limit_of(session);
    return rate_take(&session->rate, &limit, cost, session->hub->now_us, out_retry_us);
}

void command_too_fast(uint64_t retry_us, struct error *error)
{
    error_set(error, ERR_RATE_LIMITED, "too many messages; wait %llu ms", (unsigned long long)(retry_us / 1000 + 1));
}

void command_count_bad(struct session *session, enum metric metric, enum reason reason)
{
    uint32_t most = session->endpoint->limits.bad_messages;
    metrics_add(session->hub->metrics, metric, 1);
    session->bad_messages++;
    if (most && session->bad_messages >= most)
        session_end(session, reason);
}

/* There is no message to be refused, and so no answer but the end. */
void hub_charge(struct hub *hub, struct session *session, uint64_t messages)
{
    const struct rate_limit limit = rate_limit_of(session);
    bool fits = limit.per_minute == 0 || messages <= limit.burst;
    if (session->state != SESSION_OPEN || (fits && rate_take(&session->rate, &limit, messages, hub->now_us, NULL)))
        return;
    metrics_add(hub->metrics, METRIC_RATE_LIMITED_MESSAGES, messages);
    session_end(session, REASON_RATE_LIMITED);
}

/* A page costs one message, and one more for each 50 events or members in it. To read 50 of them costs the broker about
 * as much as to be asked at all. */
enum { ROWS_PER_MESSAGE = 50 };

static uint64_t reading_costs(uint64_t rows)
{
    return rows / ROWS_PER_MESSAGE;
}

/* The most that a page may have is paid for before the page is asked for. So many pages at once are no way around the
 * rate. The difference is given back when the page has fewer. */
uint64_t command_cost(const struct command *command)
{
    uint64_t limit = 0, most = 0;
    if (command->type == COMMAND_HISTORY) {
        limit = command->has_limit ? command->limit : HISTORY_LIMIT_DEFAULT;
        most = HISTORY_LIMIT_MAX;
    } else if (command->type == COMMAND_PRESENCE) {
        limit = command->has_limit ? command->limit : PRESENCE_PAGE_DEFAULT;
        most = PRESENCE_PAGE_MAX;
    }
    return 1 + (limit <= most ? reading_costs(limit) : 0); /* a larger one is refused */
}

enum { READS_MAX = 16 }; /* of one session, whose answers it awaits */

bool command_begin_page(struct hub *hub, struct session *session, const struct command *command)
{
    if (session->reads >= READS_MAX) {
        output_error(hub, session, command->id, command->channel, ERR_RATE_LIMITED,
                     STR("enough reads of this connection wait already; await an answer"));
        return false;
    }
    session->reads++;
    return true;
}

void command_page_came(struct session *session, struct request *request)
{
    uint64_t limit, rows;
    if (request->kind == REQUEST_HISTORY) {
        limit = history_read_of(request)->limit;
        rows = history_read_of(request)->count;
    } else if (request->kind == REQUEST_PRESENCE_READ) {
        limit = presence_read_of(request)->limit;
        rows = presence_read_of(request)->count;
    } else {
        return;
    }
    uint64_t paid = reading_costs(limit), used = reading_costs(rows);
    session->reads--;
    if (used < paid)
        rate_give_back(&session->rate, paid - used);
}

void command_recovered(struct hub *hub, struct session *session)
{
    if (++session->recovered < ROWS_PER_MESSAGE)
        return;
    session->recovered = 0;
    rate_charge(&session->rate, 1, hub->now_us);
}

/* The extra price of the first event of a channel's history. The event leaves a key that outlives it by a day. So a
 * client that makes up channels may not make as many as it may send messages. */
enum { BEGINNING_COSTS = 10 };

void command_began_history(struct hub *hub, struct session *session)
{
    rate_charge(&session->rate, BEGINNING_COSTS, hub->now_us);
}
