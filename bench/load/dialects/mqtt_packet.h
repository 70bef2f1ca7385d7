/* mqtt_packet.h - the packets of MQTT 3.1.1 that a subscriber and a publisher with QoS 0 need. Pure, for any thread. */
#ifndef CARILLON_BENCH_LOAD_DIALECTS_MQTT_PACKET_H
#define CARILLON_BENCH_LOAD_DIALECTS_MQTT_PACKET_H

#include "common/base/buf.h"

/* Section 2.2.1. */
enum mqtt_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK = 2,
    MQTT_PUBLISH = 3,
    MQTT_SUBSCRIBE = 8,
    MQTT_SUBACK = 9,
    MQTT_PINGREQ = 12,
    MQTT_PINGRESP = 13,
};

/* One packet without its fixed header. */
struct mqtt_packet {
    unsigned type;
    unsigned flags;
    struct str body;
};

enum mqtt_result { MQTT_MORE, MQTT_PACKET, MQTT_BAD };

/* Takes the first packet off *bytes. MQTT_MORE: it is not whole, *bytes is as it was. MQTT_BAD: a malformed length.
 * *out borrows. */
enum mqtt_result mqtt_next(struct str *bytes, struct mqtt_packet *out);

/* The application message of a PUBLISH packet with QoS 0. False: it is none. */
bool mqtt_payload(const struct mqtt_packet *packet, struct str *out);

/* A clean session without client id, user or keep-alive. */
void mqtt_append_connect(struct buf *out);
/* One topic filter, QoS 0, packet id 1. */
void mqtt_append_subscribe(struct buf *out, struct str topic);
void mqtt_append_publish(struct buf *out, struct str topic, struct str payload);
void mqtt_append_pingreq(struct buf *out);

#endif
