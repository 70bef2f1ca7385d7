/* redis_ticket.c - tickets, and tokens that open one connection only. Each has one key, prefix:{SHA-256}:ticket or
 * prefix:{SHA-256}:token, so a cluster spreads them over its servers. Redis forgets a key by itself when its time is
 * over. All steps are one script (scripts/ticket.lua), so that two nodes cannot both take a ticket. */
#include "server/broker/redis/redis_parts.h"

static struct str word_of(const struct ticket_request *request)
{
    if (request->action != TICKET_USE)
        return request->facts.resumes ? STR("resume") : STR("once");
    if (request->any_purpose)
        return request->any_resource ? STR("any") : STR("purpose");
    return request->any_resource ? STR("resource") : STR("none");
}

static void send_step(struct redis_request *sent)
{
    static const struct str words[] = {
        [TICKET_ISSUE] = {"issue", 5}, [TICKET_USE] = {"use", 3},   [TICKET_KEEP] = {"keep", 4},
        [TICKET_FREE] = {"free", 4},   [TICKET_LOST] = {"lost", 4}, [TICKET_END] = {"end", 3},
        [TICKET_SPEND] = {"spend", 5}};
    const struct ticket_request *request = sent->argument;
    bool begins = request->action == TICKET_ISSUE || request->action == TICKET_SPEND;
    char lives[24], resume[24];
    struct str arguments[] = {
        sent->keys[0],
        words[request->action],
        redis_number(begins ? request->ttl_ms : request->lease_ms, lives),
        redis_number(request->resume_ms, resume),
        request->holder,
        request->positions,
        word_of(request),
        request->facts.purpose,
        request->facts.resource,
        request->facts.claims,
    };
    redis_request_script(sent, SCRIPT_TICKET, 1, sizeof arguments / sizeof *arguments, arguments);
}

static bool read_outcome(struct str word, enum ticket_outcome *out)
{
    static const char *const words[] = {
        [TICKET_DONE] = "done", [TICKET_UNKNOWN] = "unknown", [TICKET_WRONG] = "wrong",
        [TICKET_USED] = "used", [TICKET_HELD] = "held",       [TICKET_WANTED] = "wanted"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_eq_cstr(word, words[i])) {
            *out = (enum ticket_outcome)i;
            return true;
        }
    return false;
}

/* False: it is no answer of the script. */
static bool read_answer(struct ticket_request *request, const redisReply *reply)
{
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        !read_outcome(redis_text(reply->element[0]), &request->outcome))
        return false;
    if (request->action != TICKET_USE || request->outcome != TICKET_DONE)
        return true;
    if (reply->elements != 6)
        return false;
    const struct ticket_facts facts = {
        .resumes = str_eq_cstr(redis_text(reply->element[1]), "resume"),
        .purpose = redis_text(reply->element[2]),
        .resource = redis_text(reply->element[3]),
        .claims = redis_text(reply->element[4]),
    };
    ticket_request_tell(request, &facts, redis_text(reply->element[5]));
    return true;
}

static void on_answer(struct redis_request *sent, const redisReply *reply)
{
    struct redis_broker *broker = redis_broker_of_request(sent);
    struct ticket_request *request = sent->argument;
    if (!read_answer(request, reply))
        redis_broker_request_fail(broker, &request->base, reply);
    broker_answer(&broker->broker, &request->base);
}

/* False: refused, as this node has too many. */
static bool count(struct redis_broker *broker, struct ticket_request *request)
{
    uint64_t now_us = turn_now_us(broker->config.turn);
    if (ticket_count_at(&broker->tickets, now_us) >= request->max) {
        redis_broker_request_refuse(broker, &request->base,
                                    "this node has issued as many tickets and taken as many tokens for one connection "
                                    "as it may (tickets.max); try again later");
        return false;
    }
    ticket_count_add(&broker->tickets, request->ttl_ms, now_us);
    return true;
}

void redis_ticket(struct redis_broker *broker, struct ticket_request *request)
{
    static const struct redis_request_kind kind = {.send = send_step, .done = on_answer};
    bool is_token = request->action == TICKET_SPEND;
    if ((is_token || request->action == TICKET_ISSUE) && !count(broker, request))
        return;
    buf_clear(&broker->head);
    redis_key_append(&broker->head, broker->config.prefix, request->key, is_token ? STR("token") : STR("ticket"));
    struct str key = buf_str(&broker->head);
    redis_broker_request_start(broker, &request->base, &kind, 1, &key);
}
