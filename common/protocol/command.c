/* command.c - see command.h. */
#include "common/protocol/command.h"

const char *command_name(enum command_type type)
{
    static const char *const names[COMMAND_TYPE_COUNT] = {
        [COMMAND_NONE] = "none",       [COMMAND_SUBSCRIBE] = "subscribe", [COMMAND_UNSUBSCRIBE] = "unsubscribe",
        [COMMAND_PING] = "ping",       [COMMAND_PUBLISH] = "publish",     [COMMAND_PRESENCE] = "presence",
        [COMMAND_HISTORY] = "history", [COMMAND_REFRESH] = "refresh",
    };
    return names[type];
}
