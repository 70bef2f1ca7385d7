/* publication.c - see publication.h. */
#include "server/core/publication.h"

#include "common/base/alloc.h"

struct publication *publication_create(const struct event_offer *offer, struct str command_id)
{
    struct str data = offer->data.raw;
    size_t texts = offer->channel.len + offer->type.len + data.len + offer->event_id.len + command_id.len;
    struct publication *publication = xmalloc(sizeof *publication + texts);
    memset(publication, 0, sizeof *publication);
    char *at = publication->bytes;
    publication->base.kind = REQUEST_PUBLISH;
    publication->base.channel = str_pack(&at, offer->channel);
    publication->base.command_id = str_pack(&at, command_id);
    publication->type = str_pack(&at, offer->type);
    publication->data = str_pack(&at, data);
    publication->event_id = str_pack(&at, offer->event_id);
    return publication;
}
