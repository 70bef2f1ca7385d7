/* subscribe_question.h - a client's subscribe that waits until the session's upstream has said whether the session may
 * have the channel. One allocation, which free() frees. */
#ifndef CARILLON_CORE_SUBSCRIBE_QUESTION_H
#define CARILLON_CORE_SUBSCRIBE_QUESTION_H

#include "common/base/list.h"
#include "common/protocol/command.h"

struct subscribe_question {
    struct list_link link;  /* of whoever holds it */
    struct command command; /* its texts lie in bytes */
    char bytes[];
};

/* Copies the command. */
struct subscribe_question *subscribe_question_create(const struct command *command);

#endif
