/* redis_scripts.c - see redis_scripts.h. The scripts are the files of scripts/; CMake makes redis_script_texts.h of
 * them.
 *
 * A script that Redis refuses has changed nothing that counts. Redis checks its memory before the first command of a
 * script that writes, and only if that command may need memory. It checks the type of a key at each command. So a
 * script writes first with a command that Redis may refuse, and changes nothing before a later command that can fail. A
 * script's commands are taken to be allowed by the ACL. */
#include "server/broker/redis/scripts/redis_scripts.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdio.h>

#include "server/broker/redis/scripts/redis_script_texts.h"

#define TEXT(name)                                                                                                     \
    {                                                                                                                  \
        name##_text, sizeof name##_text - 1                                                                            \
    }
static const struct str texts[SCRIPT_COUNT] = {
    [SCRIPT_PUBLISH] = TEXT(publish),
    [SCRIPT_ONCE] = TEXT(once),
    [SCRIPT_POSITION] = TEXT(position),
    [SCRIPT_VACATE] = TEXT(vacate),
    [SCRIPT_HISTORY] = TEXT(history),
    [SCRIPT_SESSION_SLOT] = TEXT(session_slot),
    [SCRIPT_PRESENCE] = TEXT(presence),
    [SCRIPT_MEMBERS] = TEXT(presence_members),
    [SCRIPT_REVOKE] = TEXT(revoke),
    [SCRIPT_REGISTER] = TEXT(register),
    [SCRIPT_TICKET] = TEXT(ticket),
    [SCRIPT_INGEST_READ] = TEXT(ingest_read),
    [SCRIPT_INGEST_RELEASE] = TEXT(ingest_release),
    [SCRIPT_LIFECYCLE] = TEXT(lifecycle),
    [SCRIPT_LIFECYCLE_LOST] = TEXT(lifecycle_lost),
    [SCRIPT_LIFECYCLE_READ] = TEXT(lifecycle_read),
};

static void on_loaded(void *owner, void *argument, const redisReply *reply)
{
    /* A refusal does no harm: without a hash each call contains the text. */
    if (reply && reply->type == REDIS_REPLY_STRING && reply->len == SCRIPT_HASH_LEN)
        memcpy(argument, reply->str, SCRIPT_HASH_LEN + 1);
}

void redis_scripts_load(struct redis_scripts *scripts, struct redis_connection *connection)
{
    for (size_t i = 0; i < SCRIPT_LOADED_COUNT; i++)
        redis_connection_send(connection, 3, (struct str[]){STR("SCRIPT"), STR("LOAD"), texts[i]}, on_loaded,
                              scripts->hashes[i]);
}

void redis_scripts_send(const struct redis_scripts *scripts, struct redis_connection *connection,
                        enum redis_script script, bool with_text, size_t key_count, size_t count,
                        const struct str *arguments, redis_answered *done, void *argument)
{
    struct str argv[SCRIPT_ARGS_MAX + 3];
    char keys[8];
    assert(count <= SCRIPT_ARGS_MAX);
    with_text = with_text || scripts->hashes[script][0] == '\0';
    argv[0] = with_text ? STR("EVAL") : STR("EVALSHA");
    argv[1] = with_text ? texts[script] : str_from(scripts->hashes[script], SCRIPT_HASH_LEN);
    argv[2] = str_from(keys, (size_t)snprintf(keys, sizeof keys, "%zu", key_count));
    memcpy(argv + 3, arguments, count * sizeof *arguments);
    redis_connection_send(connection, count + 3, argv, done, argument);
}

bool redis_scripts_is_unknown(const struct redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0;
}
