/* presence_commands.c - the command `presence`: who is on a channel is asked of the broker. */
#include <stdio.h>

#include "common/protocol/channel_name.h"
#include "server/core/hub_private.h"

static void answered(struct broker_request *base, void *owner)
{
    struct hub *hub = owner;
    struct presence_read *read = CONTAINER_OF(base, struct presence_read, base);
    struct session *session = session_index_find(&hub->sessions, read->session);
    struct str id = str_from_cstr(read->command_id);
    if (session)
        command_page_came(session, read->limit, read->count);
    if (session && base->error.code) {
        output_error(hub, session, id, read->channel, base->error.code, str_from_cstr(base->error.text));
    } else if (session) {
        const struct reply reply = {
            .type = REPLY_PRESENCE, .id = id, .channel = read->channel, .presence = presence_read_page(read)};
        output_reply(hub, session, &reply);
    }
    presence_read_destroy(read);
}

static enum err check(struct hub *hub, const struct session *session, const struct command *command,
                      struct presence_policy *out_policy, struct error *error)
{
    if (channel_check(command->channel, error))
        return error->code;
    if (access_check(hub->rules, command->channel, session->claims, ALLOW_PRESENCE, error))
        return error->code;
    /* The channel's own, not that of the rule which lets this one see. */
    struct presence_policy policy = rules_keeping(hub->rules, command->channel).presence;
    if (!policy.kept)
        return error_set(error, ERR_NOT_FOUND, "who is on this channel is not kept (presence of its rule)");
    if (command->has_limit && (command->limit == 0 || command->limit > PRESENCE_PAGE_MAX))
        return error_set(error, ERR_INVALID_REQUEST, "data.limit: expected 1 to %d", PRESENCE_PAGE_MAX);
    *out_policy = policy;
    return ERR_NONE;
}

void presence_ask(struct hub *hub, struct session *session, const struct command *command)
{
    struct presence_policy policy;
    struct error error;
    if (check(hub, session, command, &policy, &error)) {
        output_error(hub, session, command->id, command->channel, error.code, str_from_cstr(error.text));
        return;
    }
    if (!command_begin_page(hub, session, command))
        return;
    uint64_t limit = command->has_limit ? command->limit : PRESENCE_PAGE_DEFAULT;
    struct presence_read *read = presence_read_create(&policy, command->channel, command->after, limit);
    read->base.reply_to = hub->replies;
    read->base.done = answered;
    read->session = session->id;
    snprintf(read->command_id, sizeof read->command_id, "%.*s", STR_ARG(command->id));
    hub->node->ask(hub->node_owner, &read->base);
}
