/* ws_target.h - a backend that speaks WebSocket, as all workers share it: its address, whom to trust, how many
 * connections may be open, and its circuit breaker. Counted; any thread. Private to this folder and to the
 * configuration. */
#ifndef CARILLON_UPSTREAM_WS_TARGET_H
#define CARILLON_UPSTREAM_WS_TARGET_H

#include "common/base/error.h"
#include "server/outbound/outbound.h"
#include "server/upstream/backend_socket.h"

/* Texts are copied. */
struct ws_target_options {
    struct str name; /* of the upstream, for the log */
    struct str url;  /* ws:// or wss:// */
    struct str ca_file;
    uint32_t connections;      /* the most on this node */
    uint32_t breaker_failures; /* OUTBOUND_NO_BREAKER: it has none */
    uint64_t breaker_open_us;
};

struct ws_target;

/* One reference. ERR_INVALID_REQUEST says what is wrong with the URL or the file. */
enum err ws_target_create(const struct ws_target_options *options, struct ws_target **out, struct error *error);
struct ws_target *ws_target_ref(struct ws_target *target);
/* NULL is fine. */
void ws_target_unref(struct ws_target *target);

const struct backend_address *ws_target_address(const struct ws_target *target);
struct str ws_target_host(const struct ws_target *target); /* for the header Host */
struct str ws_target_path(const struct ws_target *target); /* with the query */

/* May a connection be opened? OUTBOUND_OK: it counts until ws_target_leave, and ws_target_tell is called once before.
 * Otherwise OUTBOUND_BREAKER_OPEN or OUTBOUND_TOO_MANY. */
enum outbound_result ws_target_enter(struct ws_target *target, uint64_t now_us, bool *out_probe);
/* How the opening has ended. */
void ws_target_tell(struct ws_target *target, bool probe, enum breaker_verdict verdict, uint64_t now_us);
void ws_target_leave(struct ws_target *target);

#endif
