/* single_use.c - see single_use.h. */
#include "server/core/single_use.h"

#include "common/base/alloc.h"
#include "server/core/hub_private.h"
#include "server/core/ticket.h"

struct single_use {
    void (*answered)(void *waiter, enum err err, bool first); /* NULL: nobody waits */
    void *waiter;
};

/* A jti is unique for its issuer only (RFC 7519, 4.1.7). Neither text holds a NUL. */
static void make_key(const struct claims *claims, char out[TICKET_KEY_LEN + 1])
{
    struct buf text = {0};
    if (claims->jti.len > 0) {
        buf_append_lit(&text, "jti");
        buf_append(&text, claims->iss);
        buf_append_char(&text, '\0');
        buf_append(&text, claims->jti);
    } else {
        buf_append_lit(&text, "claims");
        buf_append(&text, claims->payload.raw);
    }
    ticket_key(buf_str(&text), out);
    buf_fini(&text);
}

static void spent(struct request *base, void *owner)
{
    struct single_use *use = base->waiter;
    enum err err = request_code(base);
    bool first = ticket_request_of(base)->outcome == TICKET_DONE;
    (void)owner;
    request_destroy(base);
    if (use->answered)
        use->answered(use->waiter, err, first);
    free(use);
}

struct single_use *single_use_ask(struct hub *hub, const struct single_use_question *question,
                                  void (*answered)(void *waiter, enum err err, bool first), void *waiter)
{
    struct single_use *use = xcalloc(1, sizeof *use);
    char key[TICKET_KEY_LEN + 1];
    uint64_t end_ms = question->claims->exp_ms + question->leeway_ms;
    use->answered = answered;
    use->waiter = waiter;
    make_key(question->claims, key);
    struct ticket_request *request =
        ticket_request_create(TICKET_SPEND, str_from(key, TICKET_KEY_LEN), NULL, STR(""), STR(""));
    request->ttl_ms = end_ms > hub->wall_ms ? end_ms - hub->wall_ms : 1;
    request->max = question->max;
    request->base.reply_to = hub->replies;
    request->base.done = spent;
    request->base.waiter = use;
    hub->node->ask(hub->node_owner, &request->base);
    return use;
}

void single_use_stop_waiting(struct single_use *use)
{
    use->answered = NULL;
}
