/* hub_fixture.c - see hub_fixture.h. */
#include "tests/unit/core/hub_fixture.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/protocol/ws_frame.h"
#include "server/dialect/carillon.h"

static void on_join(void *owner, unsigned worker, struct str channel, const struct channel_join *join)
{
    struct fixture *f = owner;
    if (f->forward)
        f->forward->join(f->forward_owner, worker, channel, join);
    f->last_join = *join;
    buf_appendf(&f->asked, "join %.*s\n", STR_ARG(channel));
}

static void on_leave(void *owner, unsigned worker, struct str channel)
{
    struct fixture *f = owner;
    if (f->forward)
        f->forward->leave(f->forward_owner, worker, channel);
    buf_appendf(&f->asked, "leave %.*s\n", STR_ARG(channel));
}

static void take_slot_request(struct fixture *f, struct request *request)
{
    struct session_slot_request *slot = CONTAINER_OF(request, struct session_slot_request, base);
    static const char *const words[] = {"take", "keep", "leave"};
    buf_appendf(&f->asked, "%s %.*s\n", words[slot->action], STR_ARG(slot->user));
    if (slot->action != SESSION_SLOT_TAKE) {
        request->done(request, f->hub);
        return;
    }
    assert_null(f->slot);
    f->slot = slot;
}

static void on_ask(void *owner, struct request *request)
{
    struct fixture *f = owner;
    switch (request->kind) {
    case REQUEST_PUBLISH:
        assert_null(f->published);
        f->published = publication_of(request);
        break;
    case REQUEST_RECOVERY:
        if (f->forward)
            f->forward->ask(f->forward_owner, request);
        else
            list_append(&f->recoveries, &request->link);
        break;
    case REQUEST_HISTORY:
        assert_null(f->read);
        f->read = history_read_of(request);
        break;
    case REQUEST_PRESENCE_READ:
        assert_null(f->presence);
        f->presence = presence_read_of(request);
        break;
    case REQUEST_TICKET:
        assert_null(f->ticket);
        f->ticket = ticket_request_of(request);
        break;
    default: take_slot_request(f, request);
    }
}

static void on_presence(void *owner, struct presence_change *change)
{
    struct fixture *f = owner;
    if (change->policy_only)
        buf_appendf(&f->asked, "keep %.*s%s\n", STR_ARG(change->channel), change->policy.events ? " events" : "");
    else
        buf_appendf(&f->asked, "%s %.*s %.*s%.*s\n", change->here ? "enter" : "exit", STR_ARG(change->channel),
                    STR_ARG(change->user), STR_ARG(change->entry));
    free(change);
}

static void append_line(struct buf *out, struct str text)
{
    buf_append(out, text);
    buf_append_char(out, '\n');
}

static void append_ping(struct buf *out)
{
    buf_append_lit(out, ":\n");
}

static void append_close(struct buf *out, int code, struct str reason)
{
    buf_appendf(out, "bye %d %.*s\n", code, STR_ARG(reason));
}

static const struct framing line_framing = {.message = append_line, .ping = append_ping, .close = append_close};
static const struct framing plain_framing = {.message = append_line};

static enum write_result on_write(struct session *session, struct str frames, uint32_t *out_unsent)
{
    struct wire *wire = session->transport;
    if (wire->broken)
        return WRITE_FAILED;
    buf_append(&wire->bytes, frames);
    wire->writes++;
    wire->unsent = wire->full ? (uint32_t)frames.len : 0;
    *out_unsent = wire->unsent;
    return wire->full ? WRITE_PARTIAL : WRITE_ALL;
}

static void on_finish(struct session *session, bool abrupt)
{
    struct wire *wire = session->transport;
    wire->finished++;
    wire->abrupt = abrupt;
}

const struct transport_ops wire_transport = {.write = on_write, .finish = on_finish, .framing = &ws_framing};
const struct transport_ops line_transport = {
    .write = on_write, .finish = on_finish, .framing = &line_framing, .one_way = true};

const struct transport_ops plain_transport = {.write = on_write, .finish = on_finish, .framing = &plain_framing};

static enum reason on_verify(void *owner, struct session *session, struct str token, struct claims **out_claims,
                             struct error *error)
{
    struct fixture *f = owner;
    (void)session;
    (void)token;
    if (!f->next_claims)
        return REASON_TOKEN_EXPIRED;
    *out_claims = f->next_claims;
    f->next_claims = NULL;
    return REASON_NONE;
}

static uint64_t on_clock(void *owner)
{
    return ((struct fixture *)owner)->now_us;
}

static const struct node_ops node_ops = {
    .join = on_join,
    .leave = on_leave,
    .ask = on_ask,
    .presence = on_presence,
};

static const struct hub_ops ops = {
    .verify = on_verify,
    .clock_us = on_clock,
};

static void free_endpoint(struct endpoint *endpoint)
{
    free(endpoint);
}

static struct endpoint *make_endpoint(const struct dialect *dialect)
{
    struct endpoint *endpoint = xcalloc(1, sizeof *endpoint);
    endpoint_init(endpoint, dialect, free_endpoint);
    return endpoint;
}

void fixture_setup(struct fixture *f)
{
    fixture_setup_as(f, 0, STR(""));
}

void fixture_setup_as(struct fixture *f, uint32_t worker, struct str node_id)
{
    memset(f, 0, sizeof *f);
    list_init(&f->recoveries);
    uv_loop_init(&f->loop);
    turn_init(&f->turn, &f->loop);
    f->settings = (struct hub_settings){
        .outbox_max_bytes = 4096,
        .outbox_max_messages = 16,
        .event_bytes = 200,
        .close_timeout_us = 5000000,
        .expiry_warning_us = 30000000,
        .linger_us = 1000000,
        .custom_events = true,
    };
    struct rule rule[] = {
        {.match = STR("user:{sub}"), .allow = ALLOW_SUBSCRIBE},
        {.match = STR("room:*"), .require_grant = true, .allow = ALLOW_SUBSCRIBE | ALLOW_PUBLISH},
        {.match = STR("log:*"), .allow = ALLOW_ALL, .history = {.size = 10, .ttl_ms = 1000}},
        {.match = STR("public:*"), .allow = ALLOW_SUBSCRIBE},
        {.match = STR("crowd:*"), .allow = ALLOW_ALL, .presence = {.kept = true, .ttl_ms = 1000}},
    };
    f->rules = rules_create(rule, sizeof rule / sizeof *rule);
    metrics_init(&f->metrics, 0);
    f->endpoint = make_endpoint(&carillon_dialect);
    f->endpoint->limits = (struct endpoint_limits){.message_bytes = 65536, .channels = 3, .bad_messages = 3};
    f->endpoint->ping_interval_us = 25000000;
    f->endpoint->pong_timeout_us = 10000000;
    f->now_us = 1000000;
    f->wall_ms = 1768473000000;
    f->hub = hub_create(&(struct hub_options){.worker = worker,
                                              .node = &node_ops,
                                              .node_owner = f,
                                              .node_id = node_id,
                                              .ops = &ops,
                                              .owner = f,
                                              .settings = &f->settings,
                                              .rules = f->rules,
                                              .metrics = &f->metrics,
                                              .replies = &f->replies,
                                              .now_us = f->now_us});
    hub_advance(f->hub, f->now_us, f->wall_ms);
    mailbox_init(&f->replies, &f->turn, f->hub);
}

void fixture_teardown(struct fixture *f)
{
    for (struct list_link *link; (link = list_take_first(&f->recoveries));)
        request_destroy(&recovery_in(link)->base);
    mailbox_close(&f->replies);
    hub_destroy(f->hub);
    rules_unref(f->rules);
    endpoint_unref(f->endpoint);
    buf_fini(&f->asked);
    turn_close(&f->turn);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

struct endpoint *fixture_copy_endpoint(const struct fixture *f)
{
    struct endpoint *copy = make_endpoint(f->endpoint->dialect);
    copy->close_codes = f->endpoint->close_codes;
    copy->limits = f->endpoint->limits;
    copy->ping_interval_us = f->endpoint->ping_interval_us;
    copy->pong_timeout_us = f->endpoint->pong_timeout_us;
    return copy;
}

void fixture_use_endpoint(struct fixture *f, struct endpoint *endpoint)
{
    size_t cursor = 0;
    for (struct session *session; (session = session_index_next(hub_sessions(f->hub), &cursor));)
        if (session->endpoint == f->endpoint)
            hub_use_endpoint(f->hub, session, endpoint);
    endpoint_unref(f->endpoint);
    f->endpoint = endpoint;
}

struct session *open_session(struct fixture *f, struct wire *wire, const char *payload)
{
    struct claims *claims;
    struct error error;
    memset(wire, 0, sizeof *wire);
    if (claims_parse(str_from_cstr(payload), &claims, &error))
        fail_msg("%s: %s", payload, error.text);
    if (f->next_changes) {
        struct claims *token = claims;
        if (claims_change(token, json_value_of(str_from_cstr(f->next_changes)), &claims, &error))
            fail_msg("%s: %s", f->next_changes, error.text);
        claims_unref(token);
        f->next_changes = NULL;
    }
    struct session_start start = {
        .claims = claims,
        .address = STR("192.0.2.1"),
        .endpoint = f->other_endpoint ? f->other_endpoint : f->endpoint,
        .uuid = str_from_cstr(f->next_uuid),
        .channels = f->channels,
        .channel_count = f->channel_count,
        .slot = f->next_slot,
        .ticket = f->next_ticket,
        .ops = f->transport ? f->transport : &wire_transport,
        .transport = wire,
    };
    wire->session = hub_open(f->hub, &start);
    claims_unref(claims);
    hub_flush(f->hub);
    f->next_slot = NULL;
    f->next_uuid[0] = '\0';
    f->next_ticket = NULL;
    if (!f->other_endpoint && !f->transport) /* else the test reads what it is told */
        assert_non_null(strstr(next_frame(wire, NULL), "\"type\":\"session_init\""));
    return wire->session;
}

void close_session(struct fixture *f, struct wire *wire)
{
    hub_gone(f->hub, wire->session);
    hub_flush(f->hub);
    buf_fini(&wire->bytes);
}

void send_text(struct fixture *f, struct wire *wire, const char *text)
{
    hub_receive(f->hub, wire->session, str_from_cstr(text));
    hub_flush(f->hub);
}

void pass(struct fixture *f, uint64_t ms)
{
    f->now_us += ms * 1000;
    f->wall_ms += ms;
    hub_advance(f->hub, f->now_us, f->wall_ms);
    hub_flush(f->hub);
}

const char *next_frame(struct wire *wire, int *out_opcode)
{
    static char text[70000];
    const unsigned char *p = (const unsigned char *)wire->bytes.ptr + wire->read;
    text[0] = '\0';
    if (wire->read == wire->bytes.len)
        return text;
    assert_true(p[0] & 0x80);
    size_t len = p[1];
    size_t header = 2;
    if (len == 126) {
        len = (size_t)p[2] << 8 | p[3];
        header = 4;
    }
    assert_true(len < sizeof text && wire->read + header + len <= wire->bytes.len);
    memcpy(text, p + header, len);
    text[len] = '\0';
    wire->read += header + len;
    if (out_opcode)
        *out_opcode = p[0] & 0x0F;
    return text;
}

int next_close(struct wire *wire, char reason[128])
{
    int opcode = 0;
    const char *payload = next_frame(wire, &opcode);
    assert_int_equal(opcode, WS_CLOSE);
    snprintf(reason, 128, "%s", payload + 2);
    return (unsigned char)payload[0] << 8 | (unsigned char)payload[1];
}

void answer_join(struct fixture *f, const char *channel, const char *epoch, uint64_t offset)
{
    hub_joined(f->hub, str_from_cstr(channel), f->last_join.id, ERR_NONE, STR(""),
               &(struct position){str_from_cstr(epoch), offset, STR("")});
    hub_flush(f->hub);
}

void deliver(struct fixture *f, const char *channel, const char *data, bool flush)
{
    struct event event = {.channel = str_from_cstr(channel),
                          .type = STR("note"),
                          .id = STR("id"),
                          .timestamp = STR("2026-01-15T10:30:00.000Z"),
                          .data = str_from_cstr(data)};
    hub_deliver(f->hub, message_from_event(&event, f->now_us));
    if (flush)
        hub_flush(f->hub);
}

struct recovery *take_recovery(struct fixture *f)
{
    struct list_link *link = list_take_first(&f->recoveries);
    assert_non_null(link);
    return recovery_in(link);
}

static struct message *numbered(uint64_t offset)
{
    char data[32], id[32];
    snprintf(data, sizeof data, "%llu", (unsigned long long)offset);
    snprintf(id, sizeof id, "i-%llu", (unsigned long long)offset);
    struct event event = {.channel = STR("log:a"),
                          .type = STR("note"),
                          .id = str_from_cstr(id),
                          .epoch = STR("e"),
                          .offset = offset,
                          .timestamp = STR("t"),
                          .data = str_from_cstr(data)};
    return message_from_event(&event, 0);
}

void answer_recovery(struct fixture *f, struct recovery *recovery, enum recovery_outcome outcome, uint64_t after,
                     uint64_t last, uint64_t position)
{
    size_t count = (size_t)(last - after);
    struct replay *replay = xcalloc(1, sizeof *replay + count * sizeof(struct message *));
    list_init(&replay->recoveries);
    strcpy(replay->epoch, "e");
    replay->channel = STR("log:a");
    replay->offset = position;
    snprintf(replay->id, sizeof replay->id, "i-%llu", (unsigned long long)position);
    replay->first = after + 1;
    replay->count = count;
    for (size_t i = 0; i < count; i++)
        replay->messages[i] = numbered(replay->first + i);
    recovery->outcome = outcome;
    list_append(&replay->recoveries, &recovery->base.link);
    hub_replay(f->hub, replay);
    hub_flush(f->hub);
}

void deliver_numbered(struct fixture *f, uint64_t offset)
{
    hub_deliver(f->hub, numbered(offset));
    hub_flush(f->hub);
}

const char *next_line(struct wire *wire)
{
    static char text[4096];
    struct str rest = str_from(wire->bytes.ptr + wire->read, wire->bytes.len - wire->read);
    const char *end = rest.len ? memchr(rest.ptr, '\n', rest.len) : NULL;
    if (!end)
        return "";
    snprintf(text, sizeof text, "%.*s", (int)(end - rest.ptr), rest.ptr);
    wire->read += (size_t)(end - rest.ptr) + 1;
    return text;
}
