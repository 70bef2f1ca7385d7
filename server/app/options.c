/* options.c - the table of options.def and of the files with its records and groups. */
#include "server/app/options.h"

#include "common/protocol/channel_name.h"
#include "common/protocol/path_pattern.h"
#include "server/app/options_check.h"

/* In the order of the enums they become (options.h). */
static const char *const proxy_protocol_choices[] = {"off", "optional", "required", NULL};
static const char *const reject_choices[] = {"auto", "http", "close", NULL};
static const char *const require_choices[] = {"none", "grant", NULL};
static const char *const publisher_choices[] = {"user", "session", "none", NULL};
static const char *const sender_choices[] = {"any", "verified", NULL};
#define PRESET(name_, members_, text_) name_,
static const char *const preset_choices[] = {"none",
#include "server/app/options_presets.def"
                                             NULL};
#undef PRESET
static const char *const token_expiry_choices[] = {"close", "connect", NULL};
static const char *const frame_choices[] = {"session_init", "subscribed", "warning", "reconnect",
                                            "error",        "pong",       NULL};
static const char *const deliver_choices[] = {"event", "data", NULL};
static const char *const use_choices[] = {"commands", "upstream", "echo", "ignore", "reject", NULL};
static const char *const rate_choices[] = {"text", "binary", NULL};
static const char *const upstream_dialect_choices[] = {"cloudevents", "azure", NULL};
static const char *const order_choices[] = {"none", "session", NULL};
static const char *const on_failure_choices[] = {"answer", "close", NULL};
static const char *const blocking_failure_choices[] = {"refuse", "accept", NULL};
static const char *const upstream_event_choices[] = {"connected", "disconnected", NULL};
static const char *const ticket_use_choices[] = {"once", "resume", NULL};
static const char *const lifecycle_choices[] = {
#define LIFECYCLE(symbol, text) text,
#define LIFECYCLE_ALWAYS(symbol, text)
#include "common/protocol/lifecycle_types.def"
#undef LIFECYCLE
    NULL};
static const char *const allow_choices[] = {"subscribe", "publish", "presence", "history", NULL};
static const char *const log_level_choices[] = {"error", "warn", "info", "debug", NULL};
static const char *const log_format_choices[] = {"text", "json", NULL};
static const char *const algorithm_choices[] = {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256",
                                                "PS384", "PS512", "ES256", "ES384", "EdDSA", NULL};

/* --- the tables ------------------------------------------------------------------------------------------------- */

#define LIVE    true
#define RESTART false

#define OPTION(key_, member_, type_, default_, min_, max_, change_, text_)                                             \
    OPTION_CHECKED(key_, member_, type_, NULL, default_, min_, max_, change_, text_)
#define OPTION_CHECKED(key_, member_, type_, check_, default_, min_, max_, change_, text_)                             \
    {.key = key_,                                                                                                      \
     .type = OPTION_##type_,                                                                                           \
     .default_text = default_,                                                                                         \
     .min = min_,                                                                                                      \
     .max = max_,                                                                                                      \
     .check = check_,                                                                                                  \
     .live = change_,                                                                                                  \
     .text = text_,                                                                                                    \
     .offset = MEMBER(member_)},
#define OPTION_CHOICE(key_, member_, type_, choices_, default_, change_, text_)                                        \
    {.key = key_,                                                                                                      \
     .type = OPTION_##type_,                                                                                           \
     .default_text = default_,                                                                                         \
     .choices = choices_,                                                                                              \
     .live = change_,                                                                                                  \
     .text = text_,                                                                                                    \
     .offset = MEMBER(member_)},
#define OPTION_RECORDS(key_, member_, record_, default_, example_, change_, text_)                                     \
    OPTION_OF_RECORDS(RECORDS, key_, member_, record_, default_, example_, change_, text_)
#define OPTION_MAP(key_, member_, record_, default_, example_, change_, text_)                                         \
    OPTION_OF_RECORDS(MAP, key_, member_, record_, default_, example_, change_, text_)
#define OPTION_OF_RECORDS(type_, key_, member_, record_, default_, example_, change_, text_)                           \
    {.key = key_,                                                                                                      \
     .type = OPTION_##type_,                                                                                           \
     .default_text = default_,                                                                                         \
     .example = example_,                                                                                              \
     .record = &record_##_table,                                                                                       \
     .live = change_,                                                                                                  \
     .text = text_,                                                                                                    \
     .offset = MEMBER(member_)},
#define TABLE(table, struct_name, table_rows)                                                                          \
    static const struct option_table table = {                                                                         \
        .rows = table_rows, .count = sizeof table_rows / sizeof *table_rows, .size = sizeof(struct struct_name)}

#define MEMBER(member_) offsetof(struct STRUCT, member_)

#define STRUCT endpoint_options
static const struct option_row endpoint_rows[] = {
#include "server/app/options_endpoint.def"
};
#undef STRUCT

#define PRESET(name_, members_, text_) {.name = name_, .members = members_, .text = text_},
static const struct option_template endpoint_presets[] = {
#include "server/app/options_presets.def"
};
#undef PRESET
static const struct option_table endpoint_table = {
    .rows = endpoint_rows,
    .count = sizeof endpoint_rows / sizeof *endpoint_rows,
    .size = sizeof(struct endpoint_options),
    .templates = endpoint_presets,
    .template_count = sizeof endpoint_presets / sizeof *endpoint_presets,
};

#define STRUCT channel_options
static const struct option_row channel_rows[] = {
#include "server/app/options_channel.def"
};
#undef STRUCT
TABLE(channel_table, channel_options, channel_rows);

#define STRUCT token_key_options
static const struct option_row token_key_rows[] = {
#include "server/app/options_token_key.def"
};
#undef STRUCT
TABLE(token_key_table, token_key_options, token_key_rows);

#define STRUCT upstream_options
static const struct option_row upstream_rows[] = {
#include "server/app/options_upstream.def"
};
#undef STRUCT
TABLE(upstream_table, upstream_options, upstream_rows);

#define STRUCT options
static const struct option_row option_rows[] = {
#include "server/app/options.def"
#undef MEMBER
#define MEMBER(member_) offsetof(struct options, tickets.member_)
#include "server/app/options_tickets.def"
#undef MEMBER
#define MEMBER(member_) offsetof(struct options, lifecycle.member_)
#include "server/app/options_lifecycle.def"
};
#undef STRUCT

static const struct option_alias option_aliases[] = {
    {.flag = "--redis", .env = "REDIS_URL", .key = "redis.url"},
    {.env = "PORT", .key = "port"},
};

const struct option_table options_table = {
    .rows = option_rows,
    .count = sizeof option_rows / sizeof *option_rows,
    .size = sizeof(struct options),
    .program = "carillon",
    .env_prefix = "CARILLON_",
    .aliases = option_aliases,
    .alias_count = sizeof option_aliases / sizeof *option_aliases,
};
_Static_assert(sizeof option_rows / sizeof *option_rows <= OPTIONS_MAX, "more rows than the engine takes");
