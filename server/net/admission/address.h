/* address.h - IP addresses of peers and clients: text and bytes, CIDR ranges, and the client that a trusted proxy
 * names. An IPv4 address is kept as IPv4-mapped IPv6, so that both kinds of socket give the same client. Pure; any
 * thread. */
#ifndef CARILLON_NET_ADMISSION_ADDRESS_H
#define CARILLON_NET_ADMISSION_ADDRESS_H

#include <sys/socket.h>

#include "common/base/error.h"
#include "common/protocol/http_field.h"

enum { ADDRESS_TEXT_LEN = 45, ADDRESS_KEY_LEN = ADDRESS_TEXT_LEN + 4 };

struct address {
    uint8_t bytes[16];
};

struct cidr {
    struct address base;
    unsigned bits; /* of the 128 that must agree */
};

/* An address alone, or with a port, as proxies write it: "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]",
 * "[2001:db8::1]:80". False, and *out untouched, if it is none of these. */
bool address_parse(struct str text, struct address *out);

/* The address of a TCP peer. All zero for another family. */
struct address address_from_socket(const struct sockaddr_storage *from);

/* Writes the address as inet_ntop does, an IPv4 address in its own form. Returns out. */
const char *address_text(const struct address *address, char out[ADDRESS_TEXT_LEN + 1]);

/* Limits count one client by this key: an IPv4 address, or the /64 of an IPv6 address, since one subscriber has a whole
 * /64. Returns out. */
const char *address_key(const struct address *address, char out[ADDRESS_KEY_LEN + 1]);

/* True for an address that the internet does not route: loopback, link-local, private (RFC 1918, 6598, 4193). */
bool address_is_private(const struct address *address);

/* "10.0.0.0/8", "2001:db8::/32", or an address alone. ERR_INVALID_REQUEST says what is wrong. */
enum err cidr_parse(struct str text, struct cidr *out, struct error *error);
bool cidr_contains(const struct cidr *ranges, size_t count, const struct address *address);

/* The client of a request that came from peer. X-Forwarded-For is read from the right. Each address in it counts while
 * the address that added it is trusted. A peer that is not trusted is the client, whatever its header says. */
struct address address_of_client(const struct address *peer, const struct http_fields *fields,
                                 const struct cidr *trusted, size_t trusted_count);

#endif
