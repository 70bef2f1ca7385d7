/* subscriber.c - see subscriber.h. */
#include "server/cli/subscriber.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/json/json.h"
#include "common/protocol/reason.h"
#include "server/cli/cli.h"
#include "server/cli/ws_dial.h"

enum {
    CONNECT_US = 10 * 1000 * 1000,
    QUIET_US = 30 * 1000 * 1000, /* after so long without a byte the server is pinged */
    PONG_US = 15 * 1000 * 1000,  /* and must answer in this */
    MESSAGE_MAX = 64 * 1024 * 1024,
    RETRY_AFTER_MAX_S = 3600,
};

/* The state of one connection. */
struct link {
    struct cli_subscriber *subscriber;
    struct wire *wire;
    struct ws_decoder decoder;
    struct buf scratch;
    bool ended;
    enum subscriber_end end;
    struct error *error;
};

static const struct json_limits limits = {.depth = JSON_DEPTH_MAX, .values = 32 * 1000 * 1000};

static void end_link(struct link *link, enum subscriber_end end, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void end_link(struct link *link, enum subscriber_end end, const char *format, ...)
{
    char text[sizeof link->error->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set(link->error, ERR_UNAVAILABLE, "%s", text);
    link->ended = true;
    link->end = end;
}

static void send_frame(struct link *link, enum ws_opcode opcode, struct str payload)
{
    struct buf out = {0};
    struct error cause;
    ws_client_frame(&out, opcode, payload);
    enum wire_result result = wire_write(link->wire, buf_str(&out), clock_now_us() + CONNECT_US, &cause);
    if (result != WIRE_OK && !link->ended)
        end_link(link, result == WIRE_UNHEARD ? SUBSCRIBER_DONE : SUBSCRIBER_RETRY, "the connection was lost: %s",
                 cause.text);
    buf_fini(&out);
}

/* The text of a member, empty if it is no string. Valid until the next call. */
static struct str text_of(struct link *link, struct json_value object, struct str name)
{
    struct str text;
    buf_clear(&link->scratch);
    return json_text(json_member(object, name), &link->scratch, &text) ? text : STR("");
}

static void print_line(struct link *link, struct str line)
{
    /* A line break between the tokens of a value is white space, and strings have none. */
    for (size_t i = 0; i < line.len; i++)
        putchar_unlocked(line.ptr[i] == '\n' || line.ptr[i] == '\r' ? ' ' : line.ptr[i]);
    putchar_unlocked('\n');
    if (fflush(stdout) == 0)
        return;
    if (errno == EPIPE)
        end_link(link, SUBSCRIBER_DONE, "nobody reads the output");
    else
        end_link(link, SUBSCRIBER_REFUSED, "cannot write the output: %s", strerror(errno));
}

static void on_session_init(struct link *link, struct json_value frame)
{
    struct cli_subscriber *subscriber = link->subscriber;
    struct json_value inside = json_member(frame, STR("data"));
    struct str user = inside.type == JSON_OBJECT ? text_of(link, inside, STR("user")) : STR("");
    cli_say(subscriber->command, "connected to %.*s%s%.*s", STR_ARG(subscriber->url.shown), user.len ? " as " : "",
            STR_ARG(user));
}

/* Does an error that came as a frame pass? Rates, brokers and restarts do. */
static bool passes(struct str code)
{
    return str_eq(code, STR("rate_limited")) || str_eq(code, STR("unavailable")) || str_eq(code, STR("internal_error"));
}

/* The place on the frame's channel, or NULL if that was not asked for. */
static struct place *place_of(struct link *link, struct json_value frame)
{
    const struct cli_subscriber *subscriber = link->subscriber;
    struct str channel = text_of(link, frame, STR("channel"));
    for (size_t i = 0; i < subscriber->channel_count; i++)
        if (str_eq(channel, str_from_cstr(subscriber->channels[i])))
            return &subscriber->places[i];
    return NULL;
}

static void on_subscribed(struct link *link, struct json_value frame)
{
    struct place *place = place_of(link, frame);
    struct json_value inside = json_member(frame, STR("data"));
    const char *missed = "";
    if (!place)
        return;
    if (place->is_known) {
        bool recovered = inside.type == JSON_OBJECT && str_eq(json_member(inside, STR("recovered")).raw, STR("true"));
        missed = recovered ? " again; what was missed follows" : " again; what was missed cannot be had any more";
    }
    cli_say(link->subscriber->command, "subscribed to %.*s%s", STR_ARG(text_of(link, frame, STR("channel"))), missed);
    place_set(place, inside);
}

static void on_error(struct link *link, struct json_value frame)
{
    struct cli_subscriber *subscriber = link->subscriber;
    struct json_value inside = json_member(frame, STR("error"));
    struct buf message_text = {0};
    struct str message = STR("no message");
    uint64_t id = 0;
    if (inside.type == JSON_OBJECT)
        json_text(json_member(inside, STR("message")), &message_text, &message);
    struct str code = inside.type == JSON_OBJECT ? text_of(link, inside, STR("code")) : STR("");
    json_u64(json_member(frame, STR("id")), &id);
    if (id >= 1 && id <= subscriber->channel_count)
        end_link(link, passes(code) ? SUBSCRIBER_RETRY : SUBSCRIBER_REFUSED, "cannot subscribe to %s: %.*s (%.*s)",
                 subscriber->channels[id - 1], STR_ARG(message), STR_ARG(code));
    else
        /* If this error ends the connection, a close frame follows. */
        cli_say(subscriber->command, "error from the server: %.*s (%.*s)", STR_ARG(message), STR_ARG(code));
    buf_fini(&message_text);
}

static void on_reconnect(struct link *link, struct json_value frame)
{
    struct cli_subscriber *subscriber = link->subscriber;
    struct json_value inside = json_member(frame, STR("data"));
    if (inside.type != JSON_OBJECT)
        inside = frame;
    json_u64(json_member(inside, STR("after_ms")), &subscriber->wait_ms);
    struct str reason = text_of(link, inside, STR("reason"));
    cli_say(subscriber->command, "the server asks to reconnect (%.*s)", STR_ARG(reason));
}

static void on_notice(struct link *link, const char *type, struct json_value frame)
{
    struct json_value inside = json_member(frame, STR("data"));
    cli_say(link->subscriber->command, "%s from the server: %.*s", type, STR_ARG(inside.type ? inside.raw : frame.raw));
}

static void on_gap(struct link *link, struct json_value frame)
{
    struct place *place = place_of(link, frame);
    on_notice(link, "events were missed: gap", frame);
    if (place)
        place_set(place, json_member(frame, STR("data")));
}

static bool is_reserved(struct str type)
{
#define RESERVED(name)                                                                                                 \
    if (str_eq(type, STR(name)))                                                                                       \
        return true;
#include "common/protocol/reserved.def"
#undef RESERVED
    return false;
}

static void on_text(struct link *link, struct str payload)
{
    struct cli_subscriber *subscriber = link->subscriber;
    struct json_value frame;
    struct error cause;
    if (json_check(payload, &limits, &frame, &cause) != ERR_NONE || frame.type != JSON_OBJECT) {
        end_link(link, SUBSCRIBER_REFUSED, "the server sent what is not a JSON object; is this a carillon server?");
        return;
    }
    struct str type = text_of(link, frame, STR("type"));
    bool is_event = type.len > 0 && !is_reserved(type);
    if (str_eq(type, STR("session_init")))
        on_session_init(link, frame);
    else if (str_eq(type, STR("subscribed")))
        on_subscribed(link, frame);
    else if (str_eq(type, STR("error")))
        on_error(link, frame);
    else if (str_eq(type, STR("reconnect")))
        on_reconnect(link, frame);
    else if (str_eq(type, STR("warning")))
        on_notice(link, "warning", frame);
    else if (str_eq(type, STR("gap")))
        on_gap(link, frame);
    if (is_event || subscriber->raw)
        print_line(link, payload);
    struct place *place = is_event ? place_of(link, frame) : NULL;
    if (place)
        place_advance(place, frame);
    if (is_event && ++subscriber->printed == subscriber->count && !link->ended)
        end_link(link, SUBSCRIBER_DONE, "all events counted");
}

/* Would the same connection be closed for the same again? */
static bool is_final(int code, struct str reason_text)
{
    enum reason reason = reason_from_text(reason_text);
    switch (reason_err(reason)) {
    case ERR_UNAUTHORIZED:
    case ERR_FORBIDDEN:
    case ERR_INVALID_REQUEST:
    case ERR_TOO_LARGE: return true;
    case ERR_NONE: break;
    default: return false;
    }
    return code == 1002 || code == 1003 || (code >= 1007 && code <= 1010) || code >= 4000;
}

static void on_close(struct link *link, const struct ws_message *message)
{
    struct buf out = {0};
    bool final = is_final(message->close_code, message->payload);
    end_link(link, final ? SUBSCRIBER_REFUSED : SUBSCRIBER_RETRY, "the server closed the connection: %d%s%.*s",
             message->close_code, message->payload.len ? " " : "", STR_ARG(message->payload));
    ws_client_close(&out, message->close_code == 1005 ? 0 : message->close_code, STR(""));
    wire_write(link->wire, buf_str(&out), clock_now_us() + 1000000, NULL);
    buf_fini(&out);
}

static void on_bytes(struct link *link, struct str bytes)
{
    struct ws_message message;
    struct error cause;
    while (!link->ended) {
        switch (ws_decoder_next(&link->decoder, &bytes, &message, &cause)) {
        case WS_DECODED_MORE: return;
        case WS_DECODED_BAD: end_link(link, SUBSCRIBER_RETRY, "%s", cause.text); return;
        case WS_DECODED_MESSAGE: break;
        }
        switch (message.opcode) {
        case WS_TEXT: on_text(link, message.payload); break;
        case WS_PING: send_frame(link, WS_PONG, message.payload); break;
        case WS_CLOSE: on_close(link, &message); break;
        default: break;
        }
    }
}

static void subscribe_all(struct link *link)
{
    struct cli_subscriber *subscriber = link->subscriber;
    struct buf text = {0};
    for (size_t i = 0; i < subscriber->channel_count && !link->ended; i++) {
        buf_clear(&text);
        buf_appendf(&text, "{\"type\":\"subscribe\",\"id\":%zu,\"data\":{\"channel\":", i + 1);
        json_append_string(&text, str_from_cstr(subscriber->channels[i]));
        if (subscriber->places[i].is_known) {
            buf_append_lit(&text, ",\"since\":");
            place_append(&subscriber->places[i], &text);
        } else if (subscriber->last) {
            buf_appendf(&text, ",\"last\":%llu", (unsigned long long)subscriber->last);
        }
        buf_append_lit(&text, "}}");
        send_frame(link, WS_TEXT, buf_str(&text));
    }
    buf_fini(&text);
}

static void receive(struct link *link)
{
    struct buf in = {0};
    struct error cause;
    bool pinged = false;
    while (!link->ended) {
        buf_clear(&in);
        uint64_t patience_us = pinged ? PONG_US : QUIET_US;
        switch (wire_read(link->wire, &in, clock_now_us() + patience_us, &cause)) {
        case WIRE_OK:
            pinged = false;
            on_bytes(link, buf_str(&in));
            break;
        case WIRE_TIMEOUT:
            if (pinged)
                end_link(link, SUBSCRIBER_RETRY, "the connection is dead: no answer to a ping");
            else
                send_frame(link, WS_PING, STR(""));
            pinged = true;
            break;
        case WIRE_UNHEARD: end_link(link, SUBSCRIBER_DONE, "%s", cause.text); break;
        default: end_link(link, SUBSCRIBER_RETRY, "the connection was lost: %s", cause.text); break;
        }
    }
    buf_fini(&in);
}

static void on_refusal(struct link *link, const struct http_reply *reply)
{
    struct error cause = {0};
    enum err err = http_reply_error(reply, &cause);
    link->subscriber->wait_ms =
        (reply->retry_after_s < RETRY_AFTER_MAX_S ? reply->retry_after_s : RETRY_AFTER_MAX_S) * 1000;
    end_link(link, err == ERR_UNAVAILABLE ? SUBSCRIBER_RETRY : SUBSCRIBER_REFUSED, "refused: %s", cause.text);
}

/* So that the server need not wonder. Whether it arrives no longer matters. */
static void say_goodbye(struct link *link)
{
    struct buf out = {0};
    ws_client_close(&out, 1000, STR(""));
    wire_write(link->wire, buf_str(&out), clock_now_us() + 1000000, NULL);
    buf_fini(&out);
}

/* *received may hold the server's first frames afterwards. */
static void open_websocket(struct link *link, struct buf *received, uint64_t deadline_us)
{
    struct cli_subscriber *subscriber = link->subscriber;
    struct buf authorization = {0};
    struct http_reply refusal = {0};
    struct error cause = {0};
    buf_append_lit(&authorization, "Bearer ");
    buf_append(&authorization, subscriber->token);
    struct http_field field = {STR("Authorization"), buf_str(&authorization)};
    const struct ws_request request = {.host = subscriber->url.authority,
                                       .target = subscriber->url.target,
                                       .fields = &field,
                                       .field_count = subscriber->token.len > 0};
    switch (ws_dial(link->wire, &request, deadline_us, received, &refusal, &cause)) {
    case WS_DIAL_OPEN: break;
    case WS_DIAL_FAILED:
        end_link(link, SUBSCRIBER_RETRY, "no good answer from %.*s: %s", STR_ARG(subscriber->url.authority),
                 cause.text);
        break;
    case WS_DIAL_REFUSED: on_refusal(link, &refusal); break;
    case WS_DIAL_MISTAKEN: end_link(link, SUBSCRIBER_REFUSED, "%s", cause.text); break;
    }
    http_reply_fini(&refusal);
    buf_fini(&authorization);
}

enum subscriber_end subscriber_run(struct cli_subscriber *subscriber, struct error *error)
{
    struct link link = {.subscriber = subscriber, .decoder = {.max_message = MESSAGE_MAX}, .error = error};
    struct buf received = {0};
    uint64_t deadline_us = clock_now_us() + CONNECT_US;
    link.wire = wire_open(&subscriber->url, deadline_us, error);
    if (!link.wire)
        return error->code == ERR_UNAVAILABLE ? SUBSCRIBER_RETRY : SUBSCRIBER_REFUSED;
    open_websocket(&link, &received, deadline_us);
    wire_watch_output(link.wire, STDOUT_FILENO);
    if (!link.ended)
        subscribe_all(&link);
    if (!link.ended)
        on_bytes(&link, buf_str(&received));
    receive(&link);
    if (link.end == SUBSCRIBER_DONE)
        say_goodbye(&link);
    wire_close(link.wire);
    ws_decoder_fini(&link.decoder);
    buf_fini(&link.scratch);
    buf_fini(&received);
    return link.end;
}
