/* mqtt_packet.c - see mqtt_packet.h. Section numbers are those of the OASIS standard, version 3.1.1. */
#include "bench/load/dialects/mqtt_packet.h"

enum { LENGTH_BYTES_MAX = 4 };

enum mqtt_result mqtt_next(struct str *bytes, struct mqtt_packet *out)
{
    size_t length = 0, at = 1;
    unsigned char digit;
    do { /* 2.2.3: seven bits a byte, the least significant first */
        if (at > LENGTH_BYTES_MAX)
            return MQTT_BAD;
        if (at >= bytes->len)
            return MQTT_MORE;
        digit = (unsigned char)bytes->ptr[at];
        length |= (size_t)(digit & 0x7F) << (7 * (at - 1));
        at++;
    } while (digit & 0x80);
    if (bytes->len - at < length)
        return MQTT_MORE;
    unsigned char first = (unsigned char)bytes->ptr[0];
    *out = (struct mqtt_packet){first >> 4, first & 0xF, str_from(bytes->ptr + at, length)};
    *bytes = str_from(bytes->ptr + at + length, bytes->len - at - length);
    return MQTT_PACKET;
}

bool mqtt_payload(const struct mqtt_packet *packet, struct str *out)
{
    const unsigned char *body = (const unsigned char *)packet->body.ptr;
    if (packet->type != MQTT_PUBLISH || (packet->flags & 6) != 0 || packet->body.len < 2)
        return false;
    size_t topic_len = (size_t)body[0] << 8 | body[1]; /* 3.3.2; without QoS there is no packet id after it */
    if (packet->body.len - 2 < topic_len)
        return false;
    *out = str_from(packet->body.ptr + 2 + topic_len, packet->body.len - 2 - topic_len);
    return true;
}

static void append_header(struct buf *out, enum mqtt_type type, unsigned flags, size_t length)
{
    buf_append_char(out, (char)(type << 4 | flags));
    do {
        unsigned digit = length & 0x7F;
        length >>= 7;
        buf_append_char(out, (char)(length ? digit | 0x80 : digit));
    } while (length);
}

static void append_text(struct buf *out, struct str text)
{
    buf_append_char(out, (char)(text.len >> 8));
    buf_append_char(out, (char)(text.len & 0xFF));
    buf_append(out, text);
}

void mqtt_append_connect(struct buf *out)
{
    append_header(out, MQTT_CONNECT, 0, 12);
    append_text(out, STR("MQTT"));
    buf_append_lit(out, "\4\2");          /* 3.1.2: protocol level 4, clean session */
    buf_append(out, str_from("\0\0", 2)); /* no keep-alive */
    append_text(out, STR(""));            /* 3.1.3.1: the server draws an id */
}

void mqtt_append_subscribe(struct buf *out, struct str topic)
{
    append_header(out, MQTT_SUBSCRIBE, 2, 2 + 2 + topic.len + 1);
    buf_append(out, str_from("\0\1", 2));
    append_text(out, topic);
    buf_append_char(out, '\0');
}

void mqtt_append_publish(struct buf *out, struct str topic, struct str payload)
{
    append_header(out, MQTT_PUBLISH, 0, 2 + topic.len + payload.len);
    append_text(out, topic);
    buf_append(out, payload);
}

void mqtt_append_pingreq(struct buf *out)
{
    append_header(out, MQTT_PINGREQ, 0, 0);
}
