/* proxy_header.c - see proxy_header.h. */
#include "common/protocol/proxy_header.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { V1_LINE_MAX = 107, V2_FIXED = 16 };

static const char v2_signature[12] = {'\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

static enum proxy_result bad(struct error *error, const char *text)
{
    error_set(error, ERR_INVALID_REQUEST, "malformed PROXY header: %s", text);
    return PROXY_BAD;
}

static void set_ipv4(struct proxy_header *header, const void *address)
{
    inet_ntop(AF_INET, address, header->address, sizeof header->address);
}

/* An IPv4 client on a dual-stack listener must count as one client, whichever way it came. */
static void set_ipv6(struct proxy_header *header, const struct in6_addr *address)
{
    if (IN6_IS_ADDR_V4MAPPED(address))
        set_ipv4(header, &address->s6_addr[12]);
    else
        inet_ntop(AF_INET6, address, header->address, sizeof header->address);
}

static bool parse_address(struct str text, int family, void *out)
{
    char copy[PROXY_ADDRESS_LEN + 1];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return inet_pton(family, copy, out) == 1;
}

static bool parse_port(struct str text, uint16_t *out)
{
    uint64_t value;
    if ((text.len > 1 && text.ptr[0] == '0') || !str_to_u64(text, &value) || value > UINT16_MAX)
        return false;
    *out = (uint16_t)value;
    return true;
}

/* "PROXY TCP4 <source> <destination> <source port> <destination port>", without the CRLF. */
static enum proxy_result parse_v1_line(struct str line, struct proxy_header *header, struct error *error)
{
    struct str rest = line, part[6];
    for (size_t i = 0; i < 6; i++) {
        if (!rest.ptr)
            return bad(error, "version 1 needs a protocol, two addresses and two ports");
        part[i] = str_split(&rest, ' ');
        if (i == 1 && str_eq(part[1], STR("UNKNOWN")))
            return PROXY_DONE;
    }
    if (rest.ptr)
        return bad(error, "more than two addresses and two ports");
    int family = str_eq(part[1], STR("TCP4")) ? AF_INET : str_eq(part[1], STR("TCP6")) ? AF_INET6 : 0;
    struct in6_addr source, destination;
    uint16_t port;
    if (!family)
        return bad(error, "the protocol is not TCP4, TCP6 or UNKNOWN");
    if (!parse_address(part[2], family, &source) || !parse_address(part[3], family, &destination))
        return bad(error, "an address is not one of the protocol named before it");
    if (!parse_port(part[4], &header->port) || !parse_port(part[5], &port))
        return bad(error, "a port is not a number from 0 to 65535");
    if (family == AF_INET)
        set_ipv4(header, &source);
    else
        set_ipv6(header, &source);
    header->has_address = true;
    return PROXY_DONE;
}

static enum proxy_result parse_v1(struct str bytes, struct proxy_header *header, struct error *error)
{
    size_t within = bytes.len < V1_LINE_MAX ? bytes.len : V1_LINE_MAX;
    const char *end = memchr(bytes.ptr, '\n', within);
    if (!end)
        return within == V1_LINE_MAX ? bad(error, "no end of line in 107 bytes") : PROXY_NEED_MORE;
    if (end[-1] != '\r')
        return bad(error, "the line does not end in CR LF");
    header->length = (size_t)(end - bytes.ptr) + 1;
    return parse_v1_line(str_from(bytes.ptr, header->length - 2), header, error);
}

static uint16_t read_u16(const char *p)
{
    return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

static enum proxy_result parse_v2(struct str bytes, struct proxy_header *header, struct error *error)
{
    if (bytes.len < V2_FIXED)
        return PROXY_NEED_MORE;
    const char *p = bytes.ptr;
    unsigned version = (unsigned char)p[12] >> 4, command = (unsigned char)p[12] & 15;
    unsigned family = (unsigned char)p[13];
    size_t body = read_u16(p + 14);
    if (version != 2 || command > 1)
        return bad(error, "neither LOCAL nor PROXY of version 2");
    if (body > PROXY_V2_BODY_MAX)
        return bad(error, "over 1024 bytes of addresses and TLVs");
    if (bytes.len < V2_FIXED + body)
        return PROXY_NEED_MORE;
    header->length = V2_FIXED + body;
    if (command == 0)
        return PROXY_DONE;
    const char *at = p + V2_FIXED;
    switch (family) {
    case 0x00: return PROXY_DONE;
    case 0x11: /* TCP over IPv4: two addresses, two ports */
        if (body < 12)
            return bad(error, "too short for two IPv4 addresses");
        set_ipv4(header, at);
        header->port = read_u16(at + 8);
        break;
    case 0x21: { /* TCP over IPv6 */
        struct in6_addr source;
        if (body < 36)
            return bad(error, "too short for two IPv6 addresses");
        memcpy(&source, at, sizeof source);
        set_ipv6(header, &source);
        header->port = read_u16(at + 32);
        break;
    }
    case 0x31: /* a stream socket of the balancer's own machine: a path, no address of ours */
        return body < 216 ? bad(error, "too short for two socket paths") : PROXY_DONE;
    default: return bad(error, "not of a stream protocol over IPv4, IPv6 or a local socket");
    }
    header->has_address = true;
    return PROXY_DONE;
}

static bool may_begin_with(struct str bytes, struct str signature)
{
    size_t len = bytes.len < signature.len ? bytes.len : signature.len;
    return len == 0 || memcmp(bytes.ptr, signature.ptr, len) == 0;
}

enum proxy_result proxy_header_parse(struct str bytes, struct proxy_header *out, struct error *error)
{
    struct str v1 = STR("PROXY "), v2 = str_from(v2_signature, sizeof v2_signature);
    struct proxy_header header = {0};
    enum proxy_result result;
    if (!may_begin_with(bytes, v1) && !may_begin_with(bytes, v2))
        return PROXY_NONE;
    if (str_starts_with(bytes, v1))
        result = parse_v1(bytes, &header, error);
    else if (str_starts_with(bytes, v2))
        result = parse_v2(bytes, &header, error);
    else
        return PROXY_NEED_MORE;
    if (result == PROXY_DONE)
        *out = header;
    return result;
}
