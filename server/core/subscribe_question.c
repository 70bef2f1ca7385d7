/* subscribe_question.c - see subscribe_question.h. */
#include "server/core/subscribe_question.h"

#include "common/base/alloc.h"

struct subscribe_question *subscribe_question_create(const struct command *command)
{
    const struct position *since = &command->since;
    struct subscribe_question *question =
        xcalloc(1, sizeof *question + command->id.len + command->channel.len + since->epoch.len + since->id.len);
    char *at = question->bytes;
    question->command = (struct command){
        .type = COMMAND_SUBSCRIBE,
        .id = str_pack(&at, command->id),
        .channel = str_pack(&at, command->channel),
        .has_since = command->has_since,
        .since = {.epoch = str_pack(&at, since->epoch), .offset = since->offset, .id = str_pack(&at, since->id)},
        .has_last = command->has_last,
        .last = command->last,
    };
    return question;
}
