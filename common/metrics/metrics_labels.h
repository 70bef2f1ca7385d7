/* metrics_labels.h - the sets of label values that metrics.def names. All values are known at compile time or come
 * from the configuration, so no client can make a series. The sets REASON, ERROR, COMMAND and GAP are indexed by enum
 * reason, enum err, enum command_type and enum gap. */
#ifndef CARILLON_METRICS_METRICS_LABELS_H
#define CARILLON_METRICS_METRICS_LABELS_H

#include "common/base/error.h"
#include "common/protocol/command.h"
#include "common/protocol/gap.h"
#include "common/protocol/reason.h"

#define METRICS_SOURCES(LABEL)                                                                                         \
    LABEL(SOURCE_HTTP, "http")                                                                                         \
    LABEL(SOURCE_WEBSOCKET, "websocket") LABEL(SOURCE_REDIS, "redis") LABEL(SOURCE_INGEST, "ingest")

#define METRICS_DROPS(LABEL) LABEL(DROP_SLOW_CONSUMER, "slow_consumer") LABEL(DROP_CLOSED, "closed")

#define METRICS_RECOVERIES(LABEL) LABEL(RECOVERY_COMPLETE, "complete") LABEL(RECOVERY_LOST, "lost")

#define METRICS_VERIFICATIONS(LABEL)                                                                                   \
    LABEL(VERIFICATION_OK, "ok")                                                                                       \
    LABEL(VERIFICATION_CACHED, "cached")                                                                               \
    LABEL(VERIFICATION_INVALID, "invalid")                                                                             \
    LABEL(VERIFICATION_EXPIRED, "expired")                                                                             \
    LABEL(VERIFICATION_NOT_YET_VALID, "not_yet_valid")                                                                 \
    LABEL(VERIFICATION_REVOKED, "revoked")

#define METRICS_STATUSES(LABEL)                                                                                        \
    LABEL(STATUS_2XX, "2xx") LABEL(STATUS_3XX, "3xx") LABEL(STATUS_4XX, "4xx") LABEL(STATUS_5XX, "5xx")

/* How a request to an upstream ended without a whole answer, in the order of enum outbound_result. With the status
 * classes and the next set these are the set OUTCOME. */
#define METRICS_UPSTREAM_FAILURES(LABEL)                                                                               \
    LABEL(OUTCOME_REFUSED, "refused")                                                                                  \
    LABEL(OUTCOME_DNS, "dns")                                                                                          \
    LABEL(OUTCOME_TLS, "tls")                                                                                          \
    LABEL(OUTCOME_TIMEOUT, "timeout")                                                                                  \
    LABEL(OUTCOME_RESET, "reset")                                                                                      \
    LABEL(OUTCOME_INVALID, "invalid")                                                                                  \
    LABEL(OUTCOME_TOO_LARGE, "too_large")                                                                              \
    LABEL(OUTCOME_BREAKER_OPEN, "breaker_open")                                                                        \
    LABEL(OUTCOME_TOO_MANY, "too_many")                                                                                \
    LABEL(OUTCOME_CANCELLED, "cancelled")

/* And that it became a WebSocket connection. */
#define METRICS_UPGRADES(LABEL) LABEL(OUTCOME_UPGRADED, "upgraded")

/* METRICS_SOURCE_HTTP, METRICS_DROP_CLOSED, METRICS_ROUTE_PUBLISH, ... */
#define METRICS_LABEL_NAME(symbol, text) METRICS_##symbol,
enum metrics_source { METRICS_SOURCES(METRICS_LABEL_NAME) METRICS_SOURCE_COUNT };
enum metrics_drop { METRICS_DROPS(METRICS_LABEL_NAME) METRICS_DROP_COUNT };
enum metrics_recovery { METRICS_RECOVERIES(METRICS_LABEL_NAME) METRICS_RECOVERY_COUNT };
enum metrics_verification { METRICS_VERIFICATIONS(METRICS_LABEL_NAME) METRICS_VERIFICATION_COUNT };
enum metrics_route {
    METRICS_ROUTE_OTHER, /* a path that is no route */
#define ROUTE(method, path, key, symbol, text, function) METRICS_ROUTE_##symbol,
#include "common/protocol/routes.def"
#undef ROUTE
    METRICS_ROUTE_COUNT
};
enum metrics_lifecycle { /* in the order of enum lifecycle_type */
#define LIFECYCLE(symbol, text) METRICS_LIFECYCLE_##symbol,
#include "common/protocol/lifecycle_types.def"
#undef LIFECYCLE
                         METRICS_LIFECYCLE_COUNT
};
enum metrics_status { METRICS_STATUSES(METRICS_LABEL_NAME) METRICS_STATUS_COUNT };
enum metrics_outcome {
    METRICS_OUTCOME_LAST_STATUS = METRICS_STATUS_COUNT - 1,
    METRICS_UPSTREAM_FAILURES(METRICS_LABEL_NAME) METRICS_UPGRADES(METRICS_LABEL_NAME) METRICS_OUTCOME_COUNT
};
#undef METRICS_LABEL_NAME

/* How many values each set has; NONE has one, so that a family without labels has one series. */
enum {
    METRICS_SIZE_NONE = 1,
    METRICS_SIZE_REASON = REASON_COUNT,
    METRICS_SIZE_ERROR = ERR_COUNT,
    METRICS_SIZE_COMMAND = COMMAND_TYPE_COUNT,
    METRICS_SIZE_SOURCE = METRICS_SOURCE_COUNT,
    METRICS_SIZE_DROP = METRICS_DROP_COUNT,
    METRICS_SIZE_RECOVERY = METRICS_RECOVERY_COUNT,
    METRICS_SIZE_GAP = GAP_COUNT,
    METRICS_SIZE_VERIFICATION = METRICS_VERIFICATION_COUNT,
    METRICS_SIZE_ROUTE = METRICS_ROUTE_COUNT,
    METRICS_SIZE_STATUS = METRICS_STATUS_COUNT,
    METRICS_SIZE_OUTCOME = METRICS_OUTCOME_COUNT,
    METRICS_SIZE_UPSTREAM = 32,
    METRICS_SIZE_LIFECYCLE = METRICS_LIFECYCLE_COUNT,
};

/* The label of an upstream, for the set UPSTREAM. The names come from the configuration, and the set only grows: a name
 * keeps its label after a reload that removes it. The last label is "other", for the names that find no room. Bytes
 * that a label should not have become '_'; a name is cut after 63 bytes. Any thread. */
unsigned metrics_upstream(struct str name);
/* NULL: there is no such upstream yet, and so no series. Any thread. */
const char *metrics_upstream_name(unsigned label);

/* 404 -> METRICS_STATUS_4XX; outside 200 to 499: 5XX. */
static inline unsigned metrics_status(int http_status)
{
    return http_status >= 200 && http_status < 500 ? (unsigned)(http_status / 100 - 2) : METRICS_STATUS_5XX;
}

#endif
