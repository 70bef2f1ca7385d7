/* proxy_header.h - the PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt): a trusted load balancer
 * names the client of its connection. The caller must first check that the sender is trusted. Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_PROXY_HEADER_H
#define CARILLON_PROTOCOL_PROXY_HEADER_H

#include "common/base/error.h"
#include "common/base/str.h"

enum {
    PROXY_ADDRESS_LEN = 45,                    /* the longest text of an IPv6 address */
    PROXY_V2_BODY_MAX = 1024,                  /* addresses and TLVs */
    PROXY_HEADER_MAX = 16 + PROXY_V2_BODY_MAX, /* enough bytes to decide about any header */
};

/* Whether connections begin with a header. */
enum proxy_mode { PROXY_OFF, PROXY_OPTIONAL, PROXY_REQUIRED };

enum proxy_result {
    PROXY_NEED_MORE, /* the bytes may become a header */
    PROXY_NONE,      /* the bytes do not begin a PROXY header */
    PROXY_DONE,
    PROXY_BAD, /* close the connection, as the specification asks */
};

struct proxy_header {
    size_t length;    /* bytes to skip */
    bool has_address; /* false for UNKNOWN, LOCAL (health checks) and families other than TCP over IP: the peer's own
                         address counts then */
    char address[PROXY_ADDRESS_LEN + 1]; /* the client's, as inet_ntop writes it; IPv4 in IPv6 as plain IPv4 */
    uint16_t port;
};

/* *out is written on PROXY_DONE only, *error on PROXY_BAD only. Cheap to call again when more bytes came. */
enum proxy_result proxy_header_parse(struct str bytes, struct proxy_header *out, struct error *error);

#endif
