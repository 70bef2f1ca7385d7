/* metrics_labels.h - the sets of label values that metrics.def names. All values are known at compile time, so no
 * client can make a series. The sets REASON, ERROR, COMMAND and GAP are indexed by enum reason, enum err, enum
 * command_type and enum gap. */
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
enum metrics_status { METRICS_STATUSES(METRICS_LABEL_NAME) METRICS_STATUS_COUNT };
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
};

/* 404 -> METRICS_STATUS_4XX; outside 200 to 499: 5XX. */
static inline unsigned metrics_status(int http_status)
{
    return http_status >= 200 && http_status < 500 ? (unsigned)(http_status / 100 - 2) : METRICS_STATUS_5XX;
}

#endif
