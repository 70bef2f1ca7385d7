/* crowd.c - see crowd.h. */
#include "bench/load/crowd.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"

enum { ANSWER_MAX = 16 * 1024, MESSAGE_MAX = 32 * 1024 * 1024 };

static void leave(struct crowd_client *client, const struct error *error)
{
    struct crowd *crowd = client->crowd;
    if (crowd->gone++ == 0)
        crowd->error = *error;
    if (client->state == CROWD_READY)
        crowd->ready--;
    client->state = CROWD_GONE;
    loop_stream_close(&client->stream);
}

static void flush(struct crowd_client *client)
{
    struct error error;
    if (loop_stream_flush(&client->stream, &error) != ERR_NONE)
        leave(client, &error);
}

static void queue_message(struct crowd_client *client, struct str message)
{
    const struct crowd *crowd = client->crowd;
    ws_client_frame(&client->stream.out, crowd->dialect->is_binary || crowd->sends_binary ? WS_BINARY : WS_TEXT,
                    message);
}

void crowd_queue(struct crowd *crowd, size_t client, struct str message)
{
    if (crowd->clients[client].state == CROWD_READY)
        queue_message(&crowd->clients[client], message);
}

void crowd_flush(struct crowd *crowd, size_t client)
{
    if (crowd->clients[client].state == CROWD_READY)
        flush(&crowd->clients[client]);
}

void crowd_stop_reading(struct crowd *crowd, size_t client)
{
    if (crowd->clients[client].state == CROWD_READY)
        loop_expect(crowd->loop, &crowd->clients[client].stream.source, 0);
}

void crowd_read_again_and_ping(struct crowd *crowd, size_t index)
{
    struct crowd_client *client = &crowd->clients[index];
    if (client->state != CROWD_READY)
        return;
    loop_expect(crowd->loop, &client->stream.source, EPOLLIN);
    ws_client_frame(&client->stream.out, WS_PING, STR("?"));
    flush(client);
}

static void become_ready(struct crowd_client *client)
{
    client->state = CROWD_READY;
    client->crowd->ready++;
    histogram_record(&client->crowd->latency, clock_now_us() - client->began_us);
}

static void refuse(struct crowd_client *client, struct str words)
{
    struct error error;
    error_set(&error, ERR_UNAVAILABLE, "the server answered: %.*s", STR_ARG(words));
    leave(client, &error);
}

/* A message, or a piece of the dialect's stream. */
static void on_message(struct crowd_client *client, struct str message, uint64_t now_us)
{
    struct crowd *crowd = client->crowd;
    struct str payload = STR("");
    if (client->rest.len > 0) {
        buf_append(&client->rest, message);
        message = buf_str(&client->rest);
    }
    while (client->state != CROWD_GONE) {
        buf_clear(&crowd->answer);
        enum dialect_item item = crowd->dialect->read(&client->talk, &message, &payload, &crowd->answer);
        if (crowd->answer.len > 0) {
            queue_message(client, buf_str(&crowd->answer));
            flush(client);
        }
        if (item == DIALECT_MORE)
            break;
        if (client->state == CROWD_READY)
            crowd->on_item(crowd->owner, (size_t)(client - crowd->clients), item, payload, now_us);
        else if (item == DIALECT_READY && client->state == CROWD_OPENING)
            become_ready(client);
        else if (client->state == CROWD_OPENING)
            refuse(client, payload);
    }
    if (client->rest.len > 0)
        buf_consume(&client->rest, client->rest.len - message.len);
    else if (message.len > 0)
        buf_append(&client->rest, message);
}

static void on_frame(struct crowd_client *client, const struct ws_message *frame, uint64_t now_us)
{
    struct error error;
    switch (frame->opcode) {
    case WS_TEXT:
    case WS_BINARY: on_message(client, frame->payload, now_us); break;
    case WS_PING:
        ws_client_frame(&client->stream.out, WS_PONG, frame->payload);
        flush(client);
        break;
    case WS_PONG: client->crowd->pongs++; break;
    case WS_CLOSE:
        error_set(&error, ERR_UNAVAILABLE, "the server closed a connection: %d %.*s", frame->close_code,
                  STR_ARG(frame->payload));
        leave(client, &error);
        break;
    }
}

static void on_frames(struct crowd_client *client, struct str bytes)
{
    struct ws_message frame;
    struct error error;
    uint64_t now_us = clock_now_us();
    while (client->state != CROWD_GONE) {
        switch (ws_decoder_next(&client->decoder, &bytes, &frame, &error)) {
        case WS_DECODED_MORE: return;
        case WS_DECODED_BAD: leave(client, &error); return;
        case WS_DECODED_MESSAGE: on_frame(client, &frame, now_us); break;
        }
    }
}

static void open_talk(struct crowd_client *client)
{
    struct crowd *crowd = client->crowd;
    client->state = CROWD_OPENING;
    buf_clear(&crowd->answer);
    bool is_ready = crowd->dialect->open(&client->talk, &crowd->answer);
    if (crowd->answer.len > 0) {
        queue_message(client, buf_str(&crowd->answer));
        flush(client);
    }
    if (is_ready && client->state != CROWD_GONE)
        become_ready(client);
}

static void on_head(struct crowd_client *client, struct str bytes)
{
    struct http_answer answer;
    struct error error;
    size_t scanned = 0; /* it comes in one piece, nearly always */
    buf_append(&client->rest, bytes);
    enum http_head_result result = http_answer_parse(buf_str(&client->rest), ANSWER_MAX, &scanned, &answer, &error);
    if (result == HTTP_HEAD_NEED_MORE)
        return;
    if (result == HTTP_HEAD_BAD || ws_client_check(&answer, client->key, &error) != ERR_NONE) {
        leave(client, &error);
        return;
    }
    struct buf head = client->rest;
    client->rest = (struct buf){0};
    open_talk(client);
    on_frames(client, str_from(head.ptr + answer.length, head.len - answer.length));
    buf_fini(&head);
}

static void on_connected(struct crowd_client *client)
{
    const struct crowd *crowd = client->crowd;
    const struct url *url = &crowd->target->url;
    const char *subprotocol = crowd->dialect->subprotocol;
    struct buf target = {0}, authorization = {0};
    buf_append(&target, str_eq(url->target, STR("/")) ? str_from_cstr(crowd->dialect->path) : url->target);
    crowd->dialect->append_query(&target, client->talk.channel);
    if (crowd->tickets) {
        buf_append_lit(&target, "?ticket=");
        buf_append(&target, crowd->tickets[client - crowd->clients]);
    }
    buf_append_lit(&authorization, "Bearer ");
    if (crowd->tokens)
        buf_append(&authorization, buf_str(&crowd->tokens[client - crowd->clients]));
    const struct http_field field = {STR("Authorization"), buf_str(&authorization)};
    const struct ws_request request = {
        .host = url->authority,
        .target = buf_str(&target),
        .protocols = str_from_cstr(subprotocol),
        .fields = &field,
        .field_count = crowd->tokens ? 1 : 0,
    };
    ws_client_key(client->key);
    ws_client_request(&client->stream.out, &request, client->key);
    client->state = CROWD_UPGRADING;
    flush(client);
    buf_fini(&authorization);
    buf_fini(&target);
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct crowd_client *client = (struct crowd_client *)(void *)source;
    struct str bytes;
    struct error error;
    switch (loop_stream_turn(&client->stream, events, &bytes, &error)) {
    case STREAM_NOTHING: break;
    case STREAM_CONNECTED: on_connected(client); break;
    case STREAM_BROKEN: leave(client, &error); break;
    case STREAM_BYTES:
        if (client->state == CROWD_UPGRADING)
            on_head(client, bytes);
        else
            on_frames(client, bytes);
        break;
    }
}

static void begin_some(struct crowd *crowd)
{
    struct error error;
    while (crowd->begun < crowd->count && crowd->begun - crowd->ready - crowd->gone < crowd->at_once) {
        struct crowd_client *client = &crowd->clients[crowd->begun++];
        client->state = CROWD_CONNECTING;
        client->began_us = clock_now_us();
        if (loop_stream_connect(&client->stream, crowd->loop, crowd->target, &error) != ERR_NONE)
            leave(client, &error);
        else if (client->stream.connected)
            on_connected(client);
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
    crowd->begun = crowd->ready = crowd->gone = crowd->pongs = 0;
    histogram_clear(&crowd->latency);
    for (size_t i = 0; i < crowd->count; i++) {
        struct crowd_client *client = &crowd->clients[i];
        client->stream.source = (struct loop_source){.fd = -1, .ready = on_ready};
        client->crowd = crowd;
        client->decoder.max_message = MESSAGE_MAX;
        if (crowd->channel_count > 0)
            client->talk.channel = crowd->channels[(crowd->first + i) % crowd->channel_count];
    }
}

void crowd_fini(struct crowd *crowd)
{
    for (size_t i = 0; crowd->clients && i < crowd->count; i++) {
        loop_stream_close(&crowd->clients[i].stream);
        ws_decoder_fini(&crowd->clients[i].decoder);
        buf_fini(&crowd->clients[i].rest);
    }
    free(crowd->clients);
    buf_fini(&crowd->answer);
}
