/* crowd.c - see crowd.h. */
#include "server/cli/bench/crowd.h"

#include <errno.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/json/json.h"

enum { ANSWER_MAX = 16 * 1024, MESSAGE_MAX = 32 * 1024 * 1024 };

static void leave(struct crowd_client *client, const struct error *error)
{
    struct crowd *crowd = client->crowd;
    if (crowd->gone++ == 0)
        crowd->error = *error;
    if (client->state == CROWD_READY)
        crowd->ready--;
    client->state = CROWD_GONE;
    loop_close(&client->source);
}

/* All that a client says is far smaller than a socket's buffer; when it does not fit, the server has stopped reading.
 */
static void send_all(struct crowd_client *client, struct str bytes)
{
    struct error error;
    ssize_t sent = send(client->source.fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == (ssize_t)bytes.len)
        return;
    error_set(&error, ERR_UNAVAILABLE, "cannot send: %s",
              sent < 0 && errno != EAGAIN ? strerror(errno) : "the server has stopped reading");
    leave(client, &error);
}

static void send_frame(struct crowd_client *client, enum ws_opcode opcode, struct str payload)
{
    struct buf out = {0};
    ws_client_frame(&out, opcode, payload);
    send_all(client, buf_str(&out));
    buf_fini(&out);
}

void crowd_send(struct crowd *crowd, size_t client, struct str text)
{
    if (crowd->clients[client].state == CROWD_READY)
        send_frame(&crowd->clients[client], WS_TEXT, text);
}

static void become_ready(struct crowd_client *client)
{
    client->state = CROWD_READY;
    client->crowd->ready++;
    histogram_record(&client->crowd->latency, clock_now_us() - client->began_us);
}

static void subscribe(struct crowd_client *client)
{
    struct buf text = {0};
    client->state = CROWD_SUBSCRIBING;
    buf_append_lit(&text, "{\"type\":\"subscribe\",\"id\":1,\"data\":{\"channel\":");
    json_append_string(&text, client->crowd->channel);
    buf_append_lit(&text, "}}");
    send_frame(client, WS_TEXT, buf_str(&text));
    buf_fini(&text);
}

/* A frame on the way to being ready: only the one that is waited for will do. */
static void on_greeting(struct crowd_client *client, struct str text)
{
    struct json_value frame;
    struct error error;
    struct str type = STR("");
    if (json_check(text, NULL, &frame, NULL) == ERR_NONE && frame.type == JSON_OBJECT)
        type = json_member(frame, STR("type")).raw;
    if (client->state == CROWD_OPENING && str_eq(type, STR("\"session_init\""))) {
        if (client->crowd->channel.len > 0)
            subscribe(client);
        else
            become_ready(client);
    } else if (client->state == CROWD_SUBSCRIBING && str_eq(type, STR("\"subscribed\""))) {
        become_ready(client);
    } else {
        error_set(&error, ERR_UNAVAILABLE, "the server answered: %.*s", STR_ARG(text));
        leave(client, &error);
    }
}

static void on_message(struct crowd_client *client, const struct ws_message *message)
{
    struct crowd *crowd = client->crowd;
    struct error error;
    if (message->opcode == WS_TEXT && client->state == CROWD_READY) {
        crowd->on_text(crowd->owner, (size_t)(client - crowd->clients), message->payload);
    } else if (message->opcode == WS_TEXT) {
        on_greeting(client, message->payload);
    } else if (message->opcode == WS_PING) {
        send_frame(client, WS_PONG, message->payload);
    } else if (message->opcode == WS_CLOSE) {
        error_set(&error, ERR_UNAVAILABLE, "the server closed a connection: %d %.*s", message->close_code,
                  STR_ARG(message->payload));
        leave(client, &error);
    }
}

static void on_frames(struct crowd_client *client, struct str bytes)
{
    struct ws_message message;
    struct error error;
    while (client->state != CROWD_GONE) {
        switch (ws_decoder_next(&client->decoder, &bytes, &message, &error)) {
        case WS_DECODED_MORE: return;
        case WS_DECODED_BAD: leave(client, &error); return;
        case WS_DECODED_MESSAGE: on_message(client, &message); break;
        }
    }
}

static void on_head(struct crowd_client *client, struct str bytes)
{
    struct http_answer answer;
    struct error error;
    size_t scanned = 0; /* it comes in one piece, nearly always */
    buf_append(&client->head, bytes);
    enum http_head_result result = http_answer_parse(buf_str(&client->head), ANSWER_MAX, &scanned, &answer, &error);
    if (result == HTTP_HEAD_NEED_MORE)
        return;
    if (result == HTTP_HEAD_BAD || ws_client_check(&answer, client->key, &error) != ERR_NONE) {
        leave(client, &error);
        return;
    }
    client->state = CROWD_OPENING;
    on_frames(client, str_from(client->head.ptr + answer.length, client->head.len - answer.length));
    buf_fini(&client->head);
    client->head = (struct buf){0};
}

static void on_connected(struct crowd_client *client)
{
    const struct crowd *crowd = client->crowd;
    struct buf out = {0}, authorization = {0};
    struct error error;
    int failure = 0;
    socklen_t len = sizeof failure;
    getsockopt(client->source.fd, SOL_SOCKET, SO_ERROR, &failure, &len);
    if (failure) {
        error_set(&error, ERR_UNAVAILABLE, "cannot connect: %s", strerror(failure));
        leave(client, &error);
        return;
    }
    buf_append_lit(&authorization, "Bearer ");
    buf_append(&authorization, buf_str(&crowd->tokens[client - crowd->clients]));
    const struct http_field field = {STR("Authorization"), buf_str(&authorization)};
    const struct ws_request request = {
        .host = crowd->target->url.authority,
        .target = crowd->target->url.target,
        .fields = &field,
        .field_count = 1,
    };
    ws_client_key(client->key);
    ws_client_request(&out, &request, client->key);
    client->state = CROWD_UPGRADING;
    loop_expect(crowd->loop, &client->source, EPOLLIN);
    send_all(client, buf_str(&out));
    buf_fini(&authorization);
    buf_fini(&out);
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct crowd_client *client = (struct crowd_client *)(void *)source;
    struct str bytes;
    struct error error;
    (void)events;
    if (client->state == CROWD_CONNECTING)
        on_connected(client);
    else if (loop_read(client->crowd->loop, source, &bytes, &error) != ERR_NONE)
        leave(client, &error);
    else if (client->state == CROWD_UPGRADING)
        on_head(client, bytes);
    else
        on_frames(client, bytes);
}

static void begin_some(struct crowd *crowd)
{
    struct error error;
    while (crowd->begun < crowd->count && crowd->begun - crowd->ready - crowd->gone < crowd->at_once) {
        struct crowd_client *client = &crowd->clients[crowd->begun++];
        client->state = CROWD_CONNECTING;
        client->began_us = clock_now_us();
        if (loop_connect(crowd->loop, &client->source, crowd->target, EPOLLOUT, &error) != ERR_NONE)
            leave(client, &error);
    }
}

enum err crowd_connect(struct crowd *crowd, uint64_t timeout_us, struct error *error)
{
    uint64_t deadline_us = clock_now_us() + timeout_us;
    while (crowd->ready < crowd->count) {
        begin_some(crowd);
        if (crowd->gone > 0)
            return error_set(error, ERR_UNAVAILABLE, "only %zu of %zu clients could connect: %s", crowd->ready,
                             crowd->count, crowd->error.text);
        if (!loop_turn(crowd->loop, deadline_us))
            return error_set(error, ERR_UNAVAILABLE, "only %zu of %zu clients have connected in %llu s", crowd->ready,
                             crowd->count, (unsigned long long)(timeout_us / 1000000));
    }
    return ERR_NONE;
}

void crowd_init(struct crowd *crowd)
{
    crowd->clients = xcalloc(crowd->count, sizeof *crowd->clients);
    crowd->begun = crowd->ready = crowd->gone = 0;
    histogram_clear(&crowd->latency);
    for (size_t i = 0; i < crowd->count; i++) {
        crowd->clients[i].source = (struct loop_source){.fd = -1, .ready = on_ready};
        crowd->clients[i].crowd = crowd;
        crowd->clients[i].decoder.max_message = MESSAGE_MAX;
    }
}

void crowd_fini(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        loop_close(&crowd->clients[i].source);
        ws_decoder_fini(&crowd->clients[i].decoder);
        buf_fini(&crowd->clients[i].head);
    }
    free(crowd->clients);
}
