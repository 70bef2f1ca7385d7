/* command_costs.c - what a command costs, counted in messages of the session's rate. A command that makes others work,
 * or that keeps much memory, costs more than one message. */
#include "server/core/hub_private.h"

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
