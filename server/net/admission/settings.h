/* settings.h - the configuration of the network side. One thread builds the settings. Then they are immutable and
 * shared by all threads; a reload builds others. Settings are counted. All they have is on the heap and goes with the
 * last reference. */
#ifndef CARILLON_NET_ADMISSION_SETTINGS_H
#define CARILLON_NET_ADMISSION_SETTINGS_H

#include "common/base/list.h"
#include "common/protocol/proxy_header.h"
#include "common/token/verify.h"
#include "server/core/endpoint.h"
#include "server/net/admission/address.h"
#include "server/net/admission/quota.h"
#include "server/net/admission/texts.h"
#include "server/net/stream/tls.h"

struct net_transport;
struct ticket_settings;

enum reject_mode {
    REJECT_AUTO, /* close when the request has an Origin header, else http */
    REJECT_HTTP, /* the status and a JSON body */
    REJECT_CLOSE /* upgraded, told by an error frame, closed with a code */
};

/* Where a token may come from, as a set. */
enum carrier {
    CARRIER_HEADER = 1,      /* Authorization: Bearer */
    CARRIER_SUBPROTOCOL = 2, /* Sec-WebSocket-Protocol: a known subprotocol, <token> */
    CARRIER_QUERY = 4,       /* the parameters named by query_names */
    CARRIER_ALL = 7,
};

/* One entry of "endpoints": what its sessions have in common, and who may open one. It outlives its settings while it
 * has sessions. */
struct net_endpoint {
    struct endpoint base;
    const struct net_transport *transport;
    bool has_names;            /* its path is a pattern (path_pattern.h) */
    bool closed;               /* a reload has removed it: it is here for the sessions that it has */
    struct texts subprotocols; /* that may be selected */
    unsigned carriers;         /* enum carrier */
    struct texts query_names;
    struct texts ticket_names;  /* query parameters that may carry a ticket */
    struct texts origins;       /* allowed ones, a '*' standing for any run of characters; empty: any */
    struct texts claims;        /* all of them are required */
    struct texts scopes;        /* all of them are required */
    struct texts query;         /* query parameters that the session's origin keeps (session_origin.h) */
    struct texts headers;       /* headers that it keeps */
    struct str ticket_purpose;  /* template of the purpose that a ticket must have; owned; empty: any */
    struct str ticket_resource; /* the same of its resource */
    bool token_single_use;      /* a token opens one connection (single_use_step.h) */
    struct texts subscribe;     /* templates of the channels that a session begins with (subscribe_step.h) */
    enum reject_mode reject;
    size_t max_connections; /* of this endpoint at once; 0: no limit of its own */
};

struct net_settings {
    atomic_uint refs;
    struct net_endpoint **endpoints; /* one reference each */
    size_t endpoint_count;
    struct token_policy policy; /* its lists are owned here */
    size_t token_cache_entries; /* of each worker; this and the next are read when the worker is made */
    size_t token_cache_bytes;
    size_t head_bytes;        /* of a request head */
    uint64_t head_timeout_us; /* from the first byte expected to the last of the head */
    size_t body_bytes;        /* of a request body */
    size_t bodies_bytes;      /* of all request bodies in memory together */
    uint64_t body_timeout_us; /* to send the body, and to take the answer */
    uint64_t keepalive_timeout_us;
    uint64_t retry_after_s; /* told with 429 and 503 */
    size_t max_connections; /* sessions, in this process */
    size_t max_internal;    /* connections on the internal listener that have sent a request */
    size_t max_pending;     /* other connections of a listener. This and max_internal: at least one for each worker */
    size_t max_per_address; /* sessions; 0: see net_settings_max_of */
    size_t max_per_user;    /* 0: no limit. The session_limit of a token replaces it */
    struct ticket_settings *tickets; /* owned; NULL: the public listener gives none */
    uint64_t tickets_max;            /* tickets and used tokens that the broker may keep for this node */
    struct cidr *trusted_proxies;
    size_t trusted_proxy_count;
    enum proxy_mode proxy_protocol; /* on the public listener, from trusted proxies only */
    struct tls_identity *tls; /* one reference; NULL: the public listener speaks plaintext. A reload does not change
                                 whether it speaks TLS */
};

/* Has one reference and a default token policy; everything else is zero. Fill the settings before sharing them. */
struct net_settings *net_settings_create(void);
struct net_settings *net_settings_ref(struct net_settings *settings);
void net_settings_unref(struct net_settings *settings);

/* How many pending connections a listener may have. */
size_t net_settings_pending(const struct net_settings *settings, bool internal);
/* How many sockets a listener may have: some more than places, since it accepts a connection before an older one goes.
 */
size_t net_settings_sockets(const struct net_settings *settings, bool internal);
/* How many sessions may come from the client's address; 0: no limit. That is max_per_address. Where it is 0, a public
 * address may have half of all sessions, and a private one has no limit: all clients may come by it, through a proxy or
 * a container network. */
size_t net_settings_max_of(const struct net_settings *settings, const struct address *client);

/* The endpoint of new connections: that of the literal path, else of the first pattern that fits. NULL: there is none.
 */
struct net_endpoint *net_settings_find_endpoint(const struct net_settings *settings, struct str path);
/* The endpoint that takes the place of one of earlier settings, for new connections. NULL: there is none. */
struct net_endpoint *net_settings_same_endpoint(const struct net_settings *settings,
                                                const struct net_endpoint *endpoint);

/* The endpoint that takes the place of one of earlier settings, for its sessions. It may be closed. NULL: there is
 * none, so a session keeps the one that it has. */
struct net_endpoint *net_settings_successor(const struct net_settings *settings, const struct net_endpoint *endpoint);

/* A zeroed endpoint with its own path, the transport and the dialect, Carillon's subprotocol, the default close codes,
 * all carriers of tokens and the query parameter "token". */
struct net_endpoint *net_settings_add_endpoint(struct net_settings *settings, struct str path,
                                               const struct net_transport *transport, const struct dialect *dialect);
/* For a reload that removes an endpoint which sessions may still have: adds a closed endpoint with the same path,
 * transport, dialect, close codes, required claims and scopes. Returns NULL if the new settings have an endpoint at the
 * path. Also NULL if `before` was closed already and no session counts under its path.
 *
 * An endpoint that this reload removes is always kept: workers admit clients by it until they have the new settings. A
 * worker may be two reloads behind, and admit a client after the count. That session keeps the closed endpoint of the
 * older settings, and later settings do not reach it. */
struct net_endpoint *net_settings_keep_endpoint(struct net_settings *settings, const struct net_endpoint *before,
                                                struct quota *quota);

/* The endpoint of a session that net has opened. */
static inline struct net_endpoint *net_endpoint_of(struct endpoint *endpoint)
{
    return CONTAINER_OF(endpoint, struct net_endpoint, base);
}

#endif
