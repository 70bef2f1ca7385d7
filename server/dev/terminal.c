/* terminal.c - see terminal.h. */
#include "server/dev/terminal.h"

#include <stdio.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/json/json.h"
#include "server/core/session.h"

enum { LINES_PER_SECOND = 200 };

/* Room for one more line in this second? */
static bool has_room(struct terminal *terminal)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if ((int64_t)now.tv_sec != terminal->second) {
        terminal->second = (int64_t)now.tv_sec;
        terminal->lines = 0;
        if (terminal->skipped)
            log_line("(%llu more lines, not shown)", (unsigned long long)terminal->skipped);
        terminal->skipped = 0;
    }
    if (terminal->lines++ < LINES_PER_SECOND)
        return true;
    terminal->skipped++;
    return false;
}

static void say(uint64_t at_ms, const char *what, struct str who, struct str text)
{
    char at[CLOCK_RFC3339_LEN + 1];
    clock_format(at_ms, at);
    log_line("%.12s %-12s %-16.*s %.*s", at + sizeof "2026-01-01T" - 1, what, STR_ARG(who), STR_ARG(text));
}

/* "ada 4f2a1c" */
static void append_session(struct buf *out, const struct journal_note *note)
{
    enum { DIGITS = 6, NODE_DIGITS = 6 };
    buf_append(out, note->user);
    if (note->session.len > DIGITS + NODE_DIGITS)
        buf_appendf(out, " %.*s", DIGITS, note->session.ptr + note->session.len - NODE_DIGITS - DIGITS);
}

static struct str text_of(struct json_value value)
{
    return value.type == JSON_STRING ? str_from(value.raw.ptr + 1, value.raw.len - 2) : STR("");
}

static struct json_value frame_of(const struct journal_note *note)
{
    struct json_value value = {0};
    if (!note->binary && note->frame.len)
        json_check(note->frame, NULL, &value, NULL);
    return value.type == JSON_OBJECT ? value : (struct json_value){0};
}

static struct str type_of(struct json_value frame)
{
    return frame.type ? text_of(json_member(frame, STR("type"))) : STR("");
}

/* --- deliveries --------------------------------------------------------------------------------------------------- */

static void tell_deliveries(struct terminal *terminal)
{
    for (size_t i = 0; i < terminal->delivery_count; i++) {
        struct terminal_delivery *each = &terminal->deliveries[i];
        char text[512];
        snprintf(text, sizeof text, "%.*s to %zu", STR_ARG(buf_str(&each->type)), each->count);
        say(each->at_ms, "deliver", buf_str(&each->channel), str_from_cstr(text));
        buf_clear(&each->channel);
        buf_clear(&each->type);
    }
    terminal->delivery_count = 0;
}

static void hear_delivery(struct terminal *terminal, const struct journal_line *line)
{
    struct json_value frame = frame_of(&line->note);
    struct str id = frame.type ? text_of(json_member(frame, STR("id"))) : STR("");
    uint64_t event = str_hash(line->note.channel) ^ str_hash(id);
    for (size_t i = 0; i < terminal->delivery_count; i++)
        if (terminal->deliveries[i].event == event) {
            terminal->deliveries[i].count++;
            return;
        }
    if (!has_room(terminal))
        return;
    if (terminal->delivery_count == TERMINAL_DELIVERIES)
        tell_deliveries(terminal);
    struct terminal_delivery *fresh = &terminal->deliveries[terminal->delivery_count++];
    fresh->event = event;
    fresh->at_ms = line->at_ms;
    fresh->count = 1;
    buf_append(&fresh->channel, line->note.channel);
    buf_append(&fresh->type, type_of(frame));
}

static void on_turn_end(struct turn_hook *hook)
{
    tell_deliveries(CONTAINER_OF(hook, struct terminal, end_of_turn));
}

/* --- everything else ---------------------------------------------------------------------------------------------- */

static void append_code(struct buf *out, const struct journal_note *note)
{
    if (note->code)
        buf_appendf(out, "%d", note->code);
    if (note->text.len)
        buf_appendf(out, "%s%.*s", out->len ? " " : "", STR_ARG(note->text));
}

static void append_error(struct buf *out, struct json_value error)
{
    struct json_value message = json_member(error, STR("message"));
    struct buf scratch = {0};
    struct str text = STR("");
    if (message.type == JSON_STRING)
        json_text(message, &scratch, &text);
    buf_appendf(out, "%.*s: %.*s", STR_ARG(text_of(json_member(error, STR("code")))), STR_ARG(text));
    buf_fini(&scratch);
}

/* Fills who and text of the line. Returns its first word; NULL: the line is not shown. */
static const char *describe(const struct journal_note *note, struct buf *who, struct buf *text)
{
    struct json_value frame, error;
    switch (note->kind) {
    case JOURNAL_CONNECTED:
        append_session(who, note);
        buf_appendf(text, "from %.*s", STR_ARG(note->text));
        return "connect";
    case JOURNAL_REFUSED:
        buf_appendf(who, "%d", note->code);
        buf_append(text, note->text);
        return "refuse";
    case JOURNAL_SUBSCRIBED:
    case JOURNAL_UNSUBSCRIBED:
        append_session(who, note);
        buf_append(text, note->channel);
        return note->kind == JOURNAL_SUBSCRIBED ? "subscribe" : "unsubscribe";
    case JOURNAL_CLOSED:
        append_session(who, note);
        append_code(text, note);
        if (note->code == CLOSE_LOST)
            buf_append_lit(text, " without a close frame");
        return "close";
    case JOURNAL_PUBLISHED:
        buf_append(who, note->channel);
        frame = frame_of(note);
        buf_appendf(text, "%.*s, %zu bytes%s%.*s", STR_ARG(type_of(frame)),
                    frame.type ? json_member(frame, STR("data")).raw.len : 0, note->user.len ? ", by " : "",
                    STR_ARG(note->user));
        return "publish";
    case JOURNAL_ANSWERED:
    case JOURNAL_SENT:
        frame = frame_of(note);
        if (!str_eq(type_of(frame), STR("error")))
            return NULL;
        error = json_member(frame, STR("error"));
        if (error.type != JSON_OBJECT)
            return NULL;
        append_session(who, note);
        append_error(text, error);
        return "error";
    case JOURNAL_RULE:
    case JOURNAL_CLOCK:
    case JOURNAL_BROKER:
    case JOURNAL_RESET:
        append_session(who, note);
        append_code(text, note);
        return journal_kind_text(note->kind);
    default: return NULL;
    }
}

static void hear(struct journal_listener *listener, const struct journal_line *line)
{
    struct terminal *terminal = CONTAINER_OF(listener, struct terminal, listener);
    struct buf who = {0}, text = {0};
    if (!line)
        return;
    if (line->note.kind == JOURNAL_DELIVERED) {
        hear_delivery(terminal, line);
        return;
    }
    const char *what = describe(&line->note, &who, &text);
    if (what && has_room(terminal))
        say(line->at_ms, what, buf_str(&who), buf_str(&text));
    buf_fini(&who);
    buf_fini(&text);
}

void terminal_start(struct terminal *terminal, struct journal *journal, struct turn *turn)
{
    *terminal = (struct terminal){.listener = {.hear = hear}, .end_of_turn = {.run = on_turn_end}};
    journal_listen(journal, &terminal->listener);
    turn_add_hook(turn, &terminal->end_of_turn); /* after the hub's own one, which writes */
}

void terminal_fini(struct terminal *terminal)
{
    for (size_t i = 0; i < TERMINAL_DELIVERIES; i++) {
        buf_fini(&terminal->deliveries[i].channel);
        buf_fini(&terminal->deliveries[i].type);
    }
}
