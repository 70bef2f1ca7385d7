/* redis_scripts.h - what Redis runs for us as one step (Lua, Redis 7 and Valkey 8), and how it is called: by its hash,
 * or with its text where Redis does not know it yet. */
#ifndef CARILLON_BROKER_REDIS_SCRIPTS_REDIS_SCRIPTS_H
#define CARILLON_BROKER_REDIS_SCRIPTS_REDIS_SCRIPTS_H

#include "server/broker/redis/client/redis_connection.h"

enum redis_script {
    SCRIPT_PUBLISH,  /* orders, stores and publishes an event */
    SCRIPT_ONCE,     /* publishes a live-only event unless its event_id is known */
    SCRIPT_POSITION, /* tells a node where a channel stands, in line with the channel's events; may begin its epoch */
    SCRIPT_VACATE,   /* lets go of a position without an event, if nobody is subscribed any more */
    SCRIPT_HISTORY,  /* reads a page of a channel's log, with its position */
    SCRIPT_REGISTER, /* says that a node is alive; answers with all that are */
    SCRIPT_SESSION_SLOT, /* counts a session among its user's, if there is room */
    SCRIPT_PRESENCE,     /* a node's members of a channel: some come, some go, the node is alive */
    SCRIPT_MEMBERS,      /* reads a page of them */
    SCRIPT_REVOKE,       /* keeps a revocation and tells all nodes */
    SCRIPT_COUNT
};

enum { SCRIPT_HASH_LEN = 40, SCRIPT_ARGS_MAX = 16 };

struct redis_scripts {
    char hashes[SCRIPT_COUNT][SCRIPT_HASH_LEN + 1]; /* "": not known yet */
};

/* Loads all of them on a connection that has come up. */
void redis_scripts_load(struct redis_scripts *scripts, struct redis_connection *connection);

/* keys, then the other arguments: at most SCRIPT_ARGS_MAX in all. with_text: after is_unknown. */
void redis_scripts_send(const struct redis_scripts *scripts, struct redis_connection *connection,
                        enum redis_script script, bool with_text, size_t key_count, size_t count,
                        const struct str *arguments, redis_answered *done, void *argument);

/* The answer says that Redis does not know the script (restarted, or SCRIPT FLUSH): nothing has been done. */
bool redis_scripts_is_unknown(const struct redisReply *reply);

#endif
