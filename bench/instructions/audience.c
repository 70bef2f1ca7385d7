/* audience.c - see audience.h. */
#include "bench/instructions/audience.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/protocol/channel_name.h"
#include "common/protocol/ws_frame.h"
#include "server/dialect/carillon.h"

enum { NOW_US = 1000000, SETTLE_EVERY = 1000, OPENED_A_MS = 10 };
static const uint64_t wall_ms = 1768473000000;

struct asked_join {
    uint64_t id;
    size_t len;
    char channel[CHANNEL_NAME_MAX];
};

static void on_join(void *owner, unsigned worker, struct str channel, const struct channel_join *join)
{
    struct audience *audience = owner;
    struct asked_join asked = {.id = join->id, .len = channel.len};
    (void)worker;
    memcpy(asked.channel, channel.ptr, channel.len);
    buf_append(&audience->joins, str_from((char *)&asked, sizeof asked));
}

static void on_leave(void *owner, unsigned worker, struct str channel)
{
    (void)owner;
    (void)worker;
    (void)channel;
}

static enum write_result on_write(struct session *session, struct str frames, uint32_t *out_unsent)
{
    struct audience *audience = session->transport;
    audience->bytes_written += frames.len;
    *out_unsent = 0;
    return WRITE_ALL;
}

static void on_finish(struct session *session, bool abrupt)
{
    (void)session;
    (void)abrupt;
}

static uint64_t on_clock(void *owner)
{
    (void)owner;
    return NOW_US;
}

/* No client publishes here, and none refreshes its token. */
static const struct node_ops node_ops = {.join = on_join, .leave = on_leave};
static const struct hub_ops ops = {.clock_us = on_clock};
static const struct transport_ops transport = {.write = on_write, .finish = on_finish, .framing = &ws_framing};

struct rules *audience_rules(size_t count)
{
    struct rule *rule = xcalloc(count, sizeof *rule);
    char(*names)[24] = xcalloc(count, sizeof *names);
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], i + 1 < count ? "r%zu:*" : "bench:*", i);
        rule[i] = (struct rule){.match = str_from_cstr(names[i]), .allow = ALLOW_ALL};
    }
    struct rules *rules = rules_create(rule, count);
    free(names);
    free(rule);
    return rules;
}

static struct claims *claims_of(struct str user)
{
    char payload[80];
    struct claims *claims;
    struct error error;
    snprintf(payload, sizeof payload, "{\"sub\":\"%.*s\",\"exp\":1768476600}", STR_ARG(user));
    if (claims_parse(str_from_cstr(payload), &claims, &error)) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    return claims;
}

void audience_init(struct audience *audience, size_t rules)
{
    static const struct hub_settings settings = {
        .outbox_max_bytes = 1 << 20,
        .outbox_max_messages = 1024,
        .event_bytes = 65536,
        .close_timeout_us = 5000000,
        .expiry_warning_us = 30000000,
        .linger_us = 1000000,
        .custom_events = true,
    };
    *audience = (struct audience){.rules = audience_rules(rules)};
    endpoint_init(&audience->endpoint, &carillon_dialect, NULL);
    audience->endpoint.limits = (struct endpoint_limits){.message_bytes = 65536, .channels = 1 << 20};
    audience->endpoint.ping_interval_us = 25000000;
    audience->endpoint.pong_timeout_us = 10000000;
    metrics_init(&audience->metrics, 0);
    audience->claims = claims_of(STR("user-1"));
    audience->hub = hub_create(&(struct hub_options){.node = &node_ops,
                                                     .node_owner = audience,
                                                     .ops = &ops,
                                                     .owner = audience,
                                                     .settings = &settings,
                                                     .rules = audience->rules,
                                                     .metrics = &audience->metrics,
                                                     .now_us = NOW_US});
    hub_advance(audience->hub, NOW_US, wall_ms);
}

void audience_fini(struct audience *audience)
{
    hub_destroy(audience->hub);
    rules_unref(audience->rules);
    claims_unref(audience->claims);
    buf_fini(&audience->joins);
}

static struct session *open_with(struct audience *audience, struct claims *claims)
{
    if (++audience->opened % OPENED_A_MS == 0) /* ids come from the time */
        hub_advance(audience->hub, NOW_US, wall_ms + audience->opened / OPENED_A_MS);
    struct session_start start = {.claims = claims,
                                  .address = STR("192.0.2.1"),
                                  .endpoint = &audience->endpoint,
                                  .ops = &transport,
                                  .transport = audience};
    return hub_open(audience->hub, &start);
}

struct session *audience_open(struct audience *audience)
{
    return open_with(audience, audience->claims);
}

struct session *audience_open_as(struct audience *audience, struct str user)
{
    struct claims *claims = claims_of(user);
    struct session *session = open_with(audience, claims);
    claims_unref(claims);
    return session;
}

struct session **audience_open_many(struct audience *audience, size_t count)
{
    struct session **sessions = xmalloc((count + 1) * sizeof *sessions);
    for (size_t i = 0; i < count; i++) {
        sessions[i] = audience_open(audience);
        if (i % SETTLE_EVERY == 0)
            hub_flush(audience->hub);
    }
    hub_flush(audience->hub);
    return sessions;
}

void audience_close(struct audience *audience, struct session **sessions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hub_gone(audience->hub, sessions[i]);
    hub_flush(audience->hub);
}

void audience_say(struct audience *audience, struct session *session, struct str message)
{
    hub_receive(audience->hub, session, message);
}

void audience_subscribe(struct audience *audience, struct session *session, struct str channel)
{
    hub_subscribe(audience->hub, session, channel);
}

void audience_settle(struct audience *audience)
{
    for (size_t at = 0; at < audience->joins.len; at += sizeof(struct asked_join)) {
        struct asked_join join;
        memcpy(&join, audience->joins.ptr + at, sizeof join);
        hub_joined(audience->hub, str_from(join.channel, join.len), join.id, ERR_NONE, STR(""),
                   &(struct position){.offset = 0});
    }
    buf_clear(&audience->joins);
    hub_flush(audience->hub);
}
