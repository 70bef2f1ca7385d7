/* publication.c - see publication.h. */
#include "server/core/publication.h"

#include "common/base/alloc.h"
#include "common/base/mailbox.h"

static struct str keep(char **at, struct str text)
{
    struct str kept = {*at, text.len};
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return kept;
}

struct publication *publication_create(struct str channel, struct str type, struct str data, struct str event_id)
{
    struct publication *publication = xmalloc(sizeof *publication + channel.len + type.len + data.len + event_id.len);
    memset(publication, 0, sizeof *publication);
    char *at = publication->bytes;
    publication->channel = keep(&at, channel);
    publication->type = keep(&at, type);
    publication->data = keep(&at, data);
    publication->event_id = keep(&at, event_id);
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
