/* address.c - see address.h. */
#include "server/net/admission/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xFF, [11] = 0xFF};

static struct address map_v4(const void *four_bytes)
{
    struct address address;
    memcpy(address.bytes, mapped_prefix, sizeof mapped_prefix);
    memcpy(address.bytes + 12, four_bytes, 4);
    return address;
}

static bool is_v4(const struct address *address)
{
    return memcmp(address->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

static bool parse_bare(struct str text, struct address *out)
{
    char copy[INET6_ADDRSTRLEN + 1];
    uint8_t v4[4];
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, v4) == 1) {
        *out = map_v4(v4);
        return true;
    }
    return inet_pton(AF_INET6, copy, out->bytes) == 1;
}

static bool is_port(struct str text)
{
    uint64_t port;
    return str_to_u64(text, &port) && port <= UINT16_MAX;
}

bool address_parse(struct str text, struct address *out)
{
    if (text.len > 0 && text.ptr[0] == '[') {
        struct str rest = str_skip(text, 1);
        struct str inside = str_split(&rest, ']');
        if (!rest.ptr || !memchr(inside.ptr, ':', inside.len))
            return false;
        if (rest.len > 0 && (rest.ptr[0] != ':' || !is_port(str_skip(rest, 1))))
            return false;
        return parse_bare(inside, out);
    }
    if (parse_bare(text, out))
        return true;
    struct str rest = text;
    struct str before = str_split(&rest, ':');
    return rest.ptr && is_port(rest) && !memchr(before.ptr, ':', before.len) && parse_bare(before, out);
}

struct address address_from_socket(const struct sockaddr_storage *from)
{
    struct address address = {{0}};
    if (from->ss_family == AF_INET)
        return map_v4(&((const struct sockaddr_in *)(const void *)from)->sin_addr);
    if (from->ss_family == AF_INET6)
        memcpy(address.bytes, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, sizeof address.bytes);
    return address;
}

const char *address_text(const struct address *address, char out[ADDRESS_TEXT_LEN + 1])
{
    if (is_v4(address))
        inet_ntop(AF_INET, address->bytes + 12, out, ADDRESS_TEXT_LEN + 1);
    else
        inet_ntop(AF_INET6, address->bytes, out, ADDRESS_TEXT_LEN + 1);
    return out;
}

const char *address_key(const struct address *address, char out[ADDRESS_KEY_LEN + 1])
{
    char text[ADDRESS_TEXT_LEN + 1];
    struct address counted = *address;
    bool v4 = is_v4(address);
    if (!v4)
        memset(counted.bytes + 8, 0, 8);
    snprintf(out, ADDRESS_KEY_LEN + 1, "%s%s", address_text(&counted, text), v4 ? "" : "/64");
    return out;
}

#define V4(a, b)                                                                                                       \
    {                                                                                                                  \
        {                                                                                                              \
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, 0, 0                                                       \
        }                                                                                                              \
    }
static const struct cidr private_ranges[] = {
    {V4(10, 0), 104},   {V4(172, 16), 108}, {V4(192, 168), 112},  {V4(127, 0), 104},   {V4(169, 254), 112},
    {V4(100, 64), 106}, {{{0xfc}}, 7},      {{{0xfe, 0x80}}, 10}, {{{[15] = 1}}, 128},
};
#undef V4

bool address_is_private(const struct address *address)
{
    return cidr_contains(private_ranges, sizeof private_ranges / sizeof *private_ranges, address);
}

enum err cidr_parse(struct str text, struct cidr *out, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    struct cidr cidr;
    struct str bits_text = text;
    struct str base = str_split(&bits_text, '/');
    if (!parse_bare(base, &cidr.base))
        return error_set(error, ERR_INVALID_REQUEST,
                         "%s is not an address range; expected one such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32",
                         error_quote(text, quoted));
    unsigned width = memchr(base.ptr, ':', base.len) ? 128 : 32;
    uint64_t bits = width;
    if (bits_text.ptr && (!str_to_u64(bits_text, &bits) || bits > width))
        return error_set(error, ERR_INVALID_REQUEST, "the range %s must end in / and a number from 0 to %u",
                         error_quote(text, quoted), width);
    cidr.bits = (unsigned)bits + 128 - width;
    *out = cidr;
    return ERR_NONE;
}

static bool contains(const struct cidr *cidr, const struct address *address)
{
    unsigned whole = cidr->bits / 8, rest = cidr->bits % 8;
    if (memcmp(cidr->base.bytes, address->bytes, whole) != 0)
        return false;
    return rest == 0 || (cidr->base.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

bool cidr_contains(const struct cidr *ranges, size_t count, const struct address *address)
{
    for (size_t i = 0; i < count; i++)
        if (contains(&ranges[i], address))
            return true;
    return false;
}

/* Cuts the last element of a comma-separated list off. */
static struct str take_last(struct str *list)
{
    size_t at = list->len;
    while (at > 0 && list->ptr[at - 1] != ',')
        at--;
    struct str last = str_trim(str_skip(*list, at));
    list->len = at > 0 ? at - 1 : 0;
    return last;
}

struct address address_of_client(const struct address *peer, const struct http_fields *fields,
                                 const struct cidr *trusted, size_t trusted_count)
{
    struct address client = *peer;
    for (size_t i = fields->count; i > 0; i--) {
        if (!str_eq_nocase(fields->items[i - 1].name, STR("x-forwarded-for")))
            continue;
        struct str list = fields->items[i - 1].value;
        while (list.len > 0) {
            struct str last = take_last(&list);
            if (!cidr_contains(trusted, trusted_count, &client))
                return client;
            if (last.len > 0 && !address_parse(last, &client))
                return client; /* what stands further left was said by someone unknown */
        }
    }
    return client;
}
