/* history_reads.c - the reads of histories, paced: so many are with the broker at once, the others wait in their order.
 * Pages that workers have asked for (the `history` command, the API) and reads for continuity stand in one queue. */
#include "common/base/alloc.h"
#include "server/node/router_private.h"

enum { QUEUE_MAX = 10000 }; /* pages waiting; more are refused */

static bool is_own(const struct history_read *read)
{
    return !read->reply_to;
}

/* False when nobody waits for it any more. */
static bool aim(struct exchange *exchange, struct history_read *read)
{
    const struct interest *interest = map_get(&exchange->channels, read->channel);
    bool wanted = interest && interest->continuity && interest->continuity->read == read->number;
    if (wanted && continuity_wants(interest, &read->after)) {
        memcpy(read->asked_epoch, interest->epoch, sizeof read->asked_epoch);
        read->seen = interest->offset;
        return true;
    }
    if (wanted)
        interest->continuity->read = 0;
    return false;
}

static void pump(struct exchange *exchange)
{
    while (exchange->reads_under_way < exchange->settings.reads_max && !list_is_empty(&exchange->reads)) {
        struct history_read *read = CONTAINER_OF(list_take_first(&exchange->reads), struct history_read, link);
        exchange->reads_waiting--;
        if (is_own(read) && !aim(exchange, read)) {
            history_read_destroy(read);
            continue;
        }
        exchange->reads_under_way++;
        metrics_add(exchange->metrics, METRIC_HISTORY_READS, 1);
        exchange->broker->ops->history(exchange->broker, read);
    }
}

static void enqueue(struct exchange *exchange, struct history_read *read)
{
    list_append(&exchange->reads, &read->link);
    exchange->reads_waiting++;
    pump(exchange);
}

static void take_read(struct mail *mail, void *owner)
{
    struct exchange *exchange = owner;
    struct history_read *read = CONTAINER_OF(mail, struct history_read, mail);
    if (exchange->reads_waiting < QUEUE_MAX) {
        enqueue(exchange, read);
        return;
    }
    error_set(&read->error, ERR_UNAVAILABLE, "too many reads of histories wait already; try again later");
    history_read_answer(read);
}

void exchange_history(struct exchange *exchange, struct history_read *read)
{
    read->mail.deliver = take_read;
    mailbox_post(&exchange->mailbox, &read->mail);
}

void history_reads_ask(struct exchange *exchange, struct interest *interest)
{
    struct history_read *read = history_read_create(interest->name);
    read->limit = RECOVERY_PAGE_EVENTS;
    read->max_bytes = RECOVERY_PAGE_BYTES;
    read->number = interest->continuity->read = ++exchange->read_numbers;
    enqueue(exchange, read);
}

void history_reads_answered(struct exchange *exchange, struct history_read *read)
{
    exchange->reads_under_way--;
    if (is_own(read)) {
        struct interest *interest = map_get(&exchange->channels, read->channel);
        if (interest && interest->continuity && interest->continuity->read == read->number)
            continuity_page(exchange, interest, read);
        else
            history_read_destroy(read);
    } else {
        history_read_answer(read);
    }
    pump(exchange);
}

void history_reads_fini(struct exchange *exchange)
{
    for (struct list_link *link; (link = list_take_first(&exchange->reads));)
        history_read_destroy(CONTAINER_OF(link, struct history_read, link));
}
