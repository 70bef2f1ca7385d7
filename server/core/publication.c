/* publication.c - see publication.h. */
#include "server/core/publication.h"

#include "common/base/alloc.h"
#include "common/base/mailbox.h"

struct publication *publication_create(struct str channel, struct str type, struct str data, struct str event_id)
{
    struct publication *publication = xmalloc(sizeof *publication + channel.len + type.len + data.len + event_id.len);
    memset(publication, 0, sizeof *publication);
    char *at = publication->bytes;
    publication->channel = str_pack(&at, channel);
    publication->type = str_pack(&at, type);
    publication->data = str_pack(&at, data);
    publication->event_id = str_pack(&at, event_id);
    return publication;
}

void publication_destroy(struct publication *publication)
{
    free(publication);
}

static void deliver_answer(struct mail *mail, void *owner)
{
    struct publication *publication = CONTAINER_OF(mail, struct publication, mail);
    publication->done(publication, owner);
}

void publication_answer(struct publication *publication)
{
    publication->mail.deliver = deliver_answer;
    mailbox_post(publication->reply_to, &publication->mail);
}
