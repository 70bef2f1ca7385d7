/* options.h - the server's options as a struct, made from the table in options.def. common/options reads and frees it.
 * options_validate checks what only the server can know. It has one owner and one thread. The texts live as long as the
 * struct. */
#ifndef CARILLON_APP_OPTIONS_H
#define CARILLON_APP_OPTIONS_H

#include "common/options/option_table.h"

/* The members that the rows make. Sizes are in bytes, durations in milliseconds (_ms). Texts are never NULL. */
#define OPTION_BOOL_MEMBER(member)     bool member;
#define OPTION_INT_MEMBER(member)      uint64_t member;
#define OPTION_BYTES_MEMBER(member)    uint64_t member;
#define OPTION_DURATION_MEMBER(member) uint64_t member;
#define OPTION_STRING_MEMBER(member)   char *member;
#define OPTION_PATH_MEMBER(member)     char *member;
#define OPTION_URL_MEMBER(member)      char *member;
#define OPTION_SECRET_MEMBER(member)   char *member;
#define OPTION_ENUM_MEMBER(member)     int member;
#define OPTION_STRINGS_MEMBER(member)  struct option_strings member;
#define OPTION_SECRETS_MEMBER(member)  struct option_strings member;
#define OPTION_NUMBERS_MEMBER(member)  struct option_numbers member;
#define OPTION_JSON_MEMBER(member)     char *member;

#define OPTION(key, member, type, default_text, min, max, change, text)                OPTION_##type##_MEMBER(member)
#define OPTION_CHECKED(key, member, type, check, default_text, min, max, change, text) OPTION_##type##_MEMBER(member)
#define OPTION_CHOICE(key, member, type, choices, default_text, change, text)          OPTION_##type##_MEMBER(member)
#define OPTION_RECORDS(key, member, record, default_text, example, change, text)                                       \
    struct {                                                                                                           \
        struct record##_options *items;                                                                                \
        size_t count;                                                                                                  \
    } member;

#define OPTION_MAP(key, member, record, default_text, example, change, text)                                           \
    OPTION_RECORDS(key, member, record, default_text, example, change, text)

struct endpoint_options {
#include "server/app/options_endpoint.def"
};

struct channel_options {
#include "server/app/options_channel.def"
};

struct token_key_options {
#include "server/app/options_token_key.def"
};

struct upstream_options {
#include "server/app/options_upstream.def"
};

struct tickets_options {
#include "server/app/options_tickets.def"
};

struct lifecycle_options {
#include "server/app/options_lifecycle.def"
};

struct options {
#include "server/app/options.def"
    struct tickets_options tickets;
    struct lifecycle_options lifecycle;
};

#undef OPTION
#undef OPTION_CHECKED
#undef OPTION_CHOICE
#undef OPTION_RECORDS
#undef OPTION_MAP

/* The values of ENUM members. Others have their enums elsewhere: reject in server/net/admission/settings.h,
 * proxy_protocol in common/protocol/proxy_header.h, publisher in server/core/access.h, log_level and log_format in
 * common/base/log.h. */
enum channel_require { CHANNEL_REQUIRE_NONE, CHANNEL_REQUIRE_GRANT };
enum channel_sender { CHANNEL_SENDER_ANY, CHANNEL_SENDER_VERIFIED };
/* In the order of options_presets.def. */
enum endpoint_preset {
    ENDPOINT_NO_PRESET,
    ENDPOINT_EVENTS,
    ENDPOINT_REQUEST_RESPONSE,
    ENDPOINT_TICKET_SOCKETS,
    ENDPOINT_STREAMING
};
enum endpoint_token_expiry { ENDPOINT_EXPIRY_CLOSE, ENDPOINT_EXPIRY_CONNECT };
/* As enum message_use in server/core/endpoint.h. */
enum endpoint_use {
    ENDPOINT_USE_COMMANDS,
    ENDPOINT_USE_UPSTREAM,
    ENDPOINT_USE_ECHO,
    ENDPOINT_USE_IGNORE,
    ENDPOINT_USE_REJECT
};
enum endpoint_deliver { ENDPOINT_DELIVER_EVENT, ENDPOINT_DELIVER_DATA };
enum upstream_dialect { UPSTREAM_CLOUDEVENTS, UPSTREAM_AZURE };
enum upstream_order { UPSTREAM_ORDER_NONE, UPSTREAM_ORDER_SESSION };
enum upstream_on_failure { UPSTREAM_FAILURE_ANSWER, UPSTREAM_FAILURE_CLOSE };
enum upstream_blocking_failure { UPSTREAM_REFUSE, UPSTREAM_ACCEPT };
enum tickets_use { TICKETS_ONCE, TICKETS_RESUME };

extern const struct option_table options_table;

/* Checks what no single row shows: entries that contradict each other, close codes that cannot be sent. Each finding is
 * a line of messages. With ERR_NONE all lines are warnings. Otherwise at least one line is an error. */
enum err options_validate(const struct options *options, const struct option_sources *sources, struct buf *messages);

/* Appends a line for each setting that is allowed but often a mistake. Examples are a claim beside '*' in a rule, a
 * claim with dots, and a path that looks like a pattern. Call it after options_validate has passed. */
void options_advise(const struct options *options, const struct option_sources *sources, struct buf *messages);

#endif
