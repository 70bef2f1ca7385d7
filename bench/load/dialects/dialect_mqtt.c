/* dialect_mqtt.c - MQTT 3.1.1 over WebSocket (section 6), QoS 0. The channel is the topic. */
#include "bench/load/dialects/bench_dialect.h"
#include "bench/load/dialects/mqtt_packet.h"

enum mqtt_stage { EXPECT_CONNACK, EXPECT_SUBACK, READY };

static bool open_session(struct talk *talk, struct buf *out)
{
    (void)talk;
    mqtt_append_connect(out);
    return false;
}

static enum dialect_item greet(struct talk *talk, const struct mqtt_packet *packet, struct buf *answer)
{
    const unsigned char *body = (const unsigned char *)packet->body.ptr;
    if (talk->stage == EXPECT_CONNACK && packet->type == MQTT_CONNACK && packet->body.len == 2 && body[1] == 0) {
        if (talk->channel.len == 0) {
            talk->stage = READY;
            return DIALECT_READY;
        }
        talk->stage = EXPECT_SUBACK;
        mqtt_append_subscribe(answer, talk->channel);
        return DIALECT_MORE;
    }
    if (talk->stage == EXPECT_SUBACK && packet->type == MQTT_SUBACK && packet->body.len == 3 && body[2] == 0) {
        talk->stage = READY;
        return DIALECT_READY;
    }
    return DIALECT_OTHER;
}

static enum dialect_item read_packets(struct talk *talk, struct str *message, struct str *out, struct buf *answer)
{
    struct mqtt_packet packet;
    *out = STR("no MQTT packet, or one that refuses");
    for (;;) {
        enum mqtt_result result = mqtt_next(message, &packet);
        if (result != MQTT_PACKET) /* what is malformed is not looked at again */
            return result == MQTT_MORE ? DIALECT_MORE : (*message = STR(""), DIALECT_OTHER);
        if (talk->stage == READY)
            return mqtt_payload(&packet, out) ? DIALECT_EVENT : DIALECT_OTHER;
        enum dialect_item item = greet(talk, &packet, answer);
        if (item != DIALECT_MORE)
            return item;
    }
}

const struct bench_dialect dialect_mqtt = {
    .name = "mqtt",
    .path = "/mqtt",
    .subprotocol = "mqtt",
    .is_binary = true,
    .transports = 1 << TRANSPORT_WEBSOCKET,
    .usual = TRANSPORT_WEBSOCKET,
    .append_query = dialect_append_nothing,
    .open = open_session,
    .read = read_packets,
    .publish = mqtt_append_publish,
};
