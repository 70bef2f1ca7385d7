/* cloudevents.c - see cloudevents.h. */
#include "server/upstream/cloudevents.h"

#include "common/base/clock.h"
#include "common/base/percent.h"
#include "common/base/random.h"
#include "common/token/base64url.h"

static const char hex_digits[] = "0123456789ABCDEF";

static void append_escaped(struct buf *out, unsigned char byte)
{
    const char escaped[] = {'%', hex_digits[byte >> 4], hex_digits[byte & 15]};
    buf_append(out, str_from(escaped, sizeof escaped));
}

const char *cloudevent_type_text(enum cloudevent_type type)
{
    static const char *const texts[CLOUDEVENT_TYPE_COUNT] = {
        [CLOUDEVENT_CONNECT] = "carillon.connect",           [CLOUDEVENT_CONNECTED] = "carillon.connected",
        [CLOUDEVENT_MESSAGE] = "carillon.message",           [CLOUDEVENT_SUBSCRIBE] = "carillon.subscribe",
        [CLOUDEVENT_DISCONNECTED] = "carillon.disconnected",
    };
    return texts[type];
}

void cloudevent_append_value(struct buf *out, struct str value)
{
    size_t plain = 0; /* where the characters begin that stand for themselves */
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c > 0x20 && c < 0x7f && c != '"' && c != '%')
            continue;
        buf_append(out, str_from(value.ptr + plain, i - plain));
        append_escaped(out, c);
        plain = i + 1;
    }
    buf_append(out, str_skip(value, plain));
}

/* ce-source is a URI reference (RFC 3986). In its path these characters, and those of percent-escapes, stand for
 * themselves. */
static void append_source_path(struct buf *out, struct str path)
{
    static const char plain[] = "-._~!$&'()*+,;=:@/%";
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];
        bool is_alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (is_alphanumeric || (c && strchr(plain, c)))
            buf_append_char(out, (char)c);
        else
            append_escaped(out, c);
    }
}

static void write_header(struct buf *out, struct str name, struct str value)
{
    buf_append(out, name);
    buf_append_lit(out, ": ");
    cloudevent_append_value(out, value);
    buf_append_lit(out, "\r\n");
}

static void write_given(struct buf *out, struct str name, struct str value)
{
    if (value.len)
        write_header(out, name, value);
}

static void write_encoded(struct buf *out, struct str name, struct str json)
{
    if (!json.len)
        return;
    buf_append(out, name);
    buf_append_lit(out, ": ");
    base64url_append(out, json);
    buf_append_lit(out, "\r\n");
}

static void write_source(struct buf *out, const struct cloudevent_session *session)
{
    struct buf source = {0};
    buf_append_lit(&source, "/endpoints");
    if (!str_eq(session->endpoint, STR("/")))
        append_source_path(&source, session->endpoint);
    buf_append_lit(&source, "/sessions/");
    buf_append(&source, session->id);
    write_header(out, STR("ce-source"), buf_str(&source));
    buf_fini(&source);
}

void cloudevent_write_session(struct buf *out, const struct cloudevent_session *session)
{
    buf_append_lit(out, "ce-specversion: 1.0\r\n");
    write_source(out, session);
    write_header(out, STR("ce-sessionid"), session->id);
    write_header(out, STR("ce-partitionkey"), session->id);
    write_given(out, STR("ce-userid"), session->user);
    write_header(out, STR("ce-endpoint"), session->endpoint);
    write_given(out, STR("ce-subprotocol"), session->subprotocol);
    write_encoded(out, STR("ce-claims"), session->claims);
    write_encoded(out, STR("ce-query"), session->query);
    write_encoded(out, STR("ce-path"), session->path);
}

void cloudevent_append_id(struct buf *out, const struct cloudevent *event)
{
    buf_append(out, event->session_id);
    buf_append_char(out, '.');
    if (event->type != CLOUDEVENT_MESSAGE)
        buf_append(out, str_skip(str_from_cstr(cloudevent_type_text(event->type)), sizeof "carillon." - 1));
    if (event->type == CLOUDEVENT_SUBSCRIBE)
        buf_append_char(out, '.');
    if (event->type == CLOUDEVENT_MESSAGE || event->type == CLOUDEVENT_SUBSCRIBE)
        buf_append_u64(out, event->sequence);
}

void cloudevent_write(struct buf *out, const struct cloudevent *event)
{
    char time[CLOCK_RFC3339_LEN + 1];
    clock_format(event->wall_ms, time);
    write_header(out, STR("ce-type"), str_from_cstr(cloudevent_type_text(event->type)));
    buf_append_lit(out, "ce-id: ");
    cloudevent_append_id(out, event);
    buf_append_lit(out, "\r\n");
    write_header(out, STR("ce-time"), str_from_cstr(time));
    if (event->type == CLOUDEVENT_MESSAGE)
        buf_appendf(out, "ce-sequence: %llu\r\n", (unsigned long long)event->sequence);
    if (event->state.len) { /* as the backend wrote it: it has passed connection_state_is_valid */
        buf_append_lit(out, "ce-connectionstate: ");
        buf_append(out, event->state);
        buf_append_lit(out, "\r\n");
    }
}

void cloudevent_pick(struct buf *out, struct json_value object, const struct str *names, size_t count)
{
    struct json_cursor at = json_walk(object);
    struct json_value value;
    struct str key;
    char before = '{';
    while (json_next(&at, &key, &value)) {
        for (size_t i = 0; i < count; i++) {
            if (!json_key_is(key, names[i]))
                continue;
            buf_append_char(out, before);
            buf_append_char(out, '"');
            buf_append(out, key);
            buf_append_lit(out, "\":");
            buf_append(out, value.raw);
            before = ',';
            break;
        }
    }
    if (before == ',')
        buf_append_char(out, '}');
}

/* --- other headers ----------------------------------------------------------------------------------------------- */

void cloudevent_append_printable(struct buf *out, struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c < 0x20 || c >= 0x7f)
            append_escaped(out, c);
        else
            buf_append_char(out, (char)c);
    }
}

void cloudevent_write_passed(struct buf *out, struct str name, struct str value)
{
    buf_append(out, name);
    buf_append_lit(out, ": ");
    cloudevent_append_printable(out, value);
    buf_append_lit(out, "\r\n");
}

/* Lower-case hexadecimal digits. *out_some: one of them is not 0. */
static bool is_hex(struct str text, bool *out_some)
{
    *out_some = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (hex_digit(c) < 0 || (c >= 'A' && c <= 'F'))
            return false;
        *out_some |= c != '0';
    }
    return true;
}

bool traceparent_is_valid(struct str text)
{
    enum { TRACE = 3, PARENT = 36, FLAGS = 53, LENGTH = 55 };
    bool some_trace, some_parent, some_flags;
    return text.len == LENGTH && str_starts_with(text, STR("00-")) && text.ptr[PARENT - 1] == '-' &&
           text.ptr[FLAGS - 1] == '-' && is_hex(str_from(text.ptr + TRACE, 32), &some_trace) && some_trace &&
           is_hex(str_from(text.ptr + PARENT, 16), &some_parent) && some_parent &&
           is_hex(str_from(text.ptr + FLAGS, 2), &some_flags);
}

void traceparent_make(struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    enum { TRACE = 16, PARENT = 8 };
    unsigned char random[TRACE + PARENT];
    char text[2 * sizeof random + 1], *at = text;
    random_bytes(random, sizeof random);
    random[0] |= 1; /* neither id may be all zeros */
    random[TRACE] |= 1;
    for (size_t i = 0; i < sizeof random; i++) {
        if (i == TRACE)
            *at++ = '-';
        *at++ = digits[random[i] >> 4];
        *at++ = digits[random[i] & 15];
    }
    buf_append_lit(out, "00-");
    buf_append(out, str_from(text, sizeof text));
    buf_append_lit(out, "-01");
}

bool connection_state_is_valid(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] < 0x21 || value.ptr[i] > 0x7e)
            return false;
    return value.len <= CONNECTION_STATE_MAX;
}
