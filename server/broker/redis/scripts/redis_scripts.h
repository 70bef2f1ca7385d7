/* redis_scripts.h - the Lua scripts that Redis runs as one step (Redis 7, Valkey 8), and how they are called. A script
 * is called by its hash. Where Redis does not know the hash yet, the call contains the text of the script. */
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
    SCRIPT_SESSION_SLOT,   /* counts a session among its user's, if there is room */
    SCRIPT_PRESENCE,       /* a node's members of a channel: some come, some go, the node is alive */
    SCRIPT_MEMBERS,        /* reads a page of them */
    SCRIPT_TICKET,         /* one step of a ticket, or of a token that opens one connection */
    SCRIPT_REVOKE,         /* keeps a revocation and tells all nodes */
    SCRIPT_LIFECYCLE,      /* appends a batch of lifecycle events, and keeps what is open at a node */
    SCRIPT_LIFECYCLE_READ, /* reads lifecycle events for the node that sends them on */
    SCRIPT_LOADED_COUNT,   /* Redis is given those above when a connection comes up, those below with each call */
    SCRIPT_INGEST_READ = SCRIPT_LOADED_COUNT, /* takes or renews the lease of the ingest stream, and reads a batch */
    SCRIPT_INGEST_RELEASE,                    /* gives the lease back */
    SCRIPT_LIFECYCLE_LOST,                    /* tells what was open at a node that is dead */
    SCRIPT_COUNT
};

enum { SCRIPT_HASH_LEN = 40, SCRIPT_ARGS_MAX = 544 };

struct redis_scripts {
    char hashes[SCRIPT_COUNT][SCRIPT_HASH_LEN + 1]; /* "": not known */
};

/* Loads the scripts on a connection that has come up. */
void redis_scripts_load(struct redis_scripts *scripts, struct redis_connection *connection);

/* Calls a script. arguments are the keys and then the other ones, at most SCRIPT_ARGS_MAX in all. with_text: also if
 * the hash is known, as after redis_scripts_is_unknown. */
void redis_scripts_send(const struct redis_scripts *scripts, struct redis_connection *connection,
                        enum redis_script script, bool with_text, size_t key_count, size_t count,
                        const struct str *arguments, redis_answered *done, void *argument);

/* The answer says that Redis does not know the script, after a restart or SCRIPT FLUSH. Nothing was done. */
bool redis_scripts_is_unknown(const struct redisReply *reply);

#endif
