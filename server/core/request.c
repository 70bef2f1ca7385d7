/* request.c - see request.h. */
#include "server/core/request.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/mailbox.h"

void request_fail(struct request *request, enum err code, const char *format, ...)
{
    va_list args;
    if (!request->error)
        request->error = xmalloc(sizeof *request->error);
    request->error->code = code;
    va_start(args, format);
    vsnprintf(request->error->text, sizeof request->error->text, format, args);
    va_end(args);
}

enum err request_code(const struct request *request)
{
    return request->error ? request->error->code : ERR_NONE;
}

static void deliver_answer(struct mail *mail, void *owner)
{
    struct request *request = CONTAINER_OF(mail, struct request, mail);
    request->done(request, owner);
}

void request_answer(struct request *request)
{
    request->mail.deliver = deliver_answer;
    mailbox_post(request->reply_to, &request->mail);
}

void request_destroy(struct request *request)
{
    list_remove(&request->link);
    if (request->fini)
        request->fini(request);
    free(request->error);
    free(request);
}

struct publication *publication_create(const struct event_offer *offer, struct str command_id)
{
    struct str data = offer->data.raw;
    size_t texts = offer->channel.len + offer->type.len + data.len + offer->event_id.len + command_id.len +
                   offer->user.len + offer->session.len + offer->exclude.len;
    struct publication *publication = xmalloc(sizeof *publication + texts);
    memset(publication, 0, sizeof *publication);
    char *at = publication->bytes;
    publication->base.kind = REQUEST_PUBLISH;
    publication->base.channel = str_pack(&at, offer->channel);
    publication->base.command_id = str_pack(&at, command_id);
    publication->type = str_pack(&at, offer->type);
    publication->data = str_pack(&at, data);
    publication->event_id = str_pack(&at, offer->event_id);
    publication->user = str_pack(&at, offer->user);
    publication->session = str_pack(&at, offer->session);
    publication->exclude = str_pack(&at, offer->exclude);
    return publication;
}

struct revoke_request *revoke_request_create(const struct revocation *revocation)
{
    struct revoke_request *request = xcalloc(1, sizeof *request + revocation->value.len);
    request->base.kind = REQUEST_REVOKE;
    request->revocation = *revocation;
    char *at = request->bytes;
    request->revocation.value = str_pack(&at, revocation->value);
    return request;
}

struct session_slot_request *session_slot_request_create(enum session_slot_action action, struct str user,
                                                         struct str session)
{
    struct session_slot_request *request = xcalloc(1, sizeof *request + user.len + session.len);
    request->base.kind = REQUEST_SESSION_SLOT;
    request->action = action;
    char *at = request->bytes;
    request->user = str_pack(&at, user);
    request->session = str_pack(&at, session);
    return request;
}

struct stream_append *stream_append_create(struct str stream, uint64_t max_len, size_t text_count,
                                           const struct str *texts)
{
    size_t size = sizeof(struct stream_append) + text_count * sizeof *texts + stream.len;
    for (size_t i = 0; i < text_count; i++)
        size += texts[i].len;
    struct stream_append *append = xmalloc(size);
    memset(append, 0, sizeof *append);
    append->base.kind = REQUEST_STREAM_APPEND;
    append->max_len = max_len;
    append->cost = size;
    append->text_count = text_count;
    char *at = (char *)&append->texts[text_count];
    append->stream = str_pack(&at, stream);
    for (size_t i = 0; i < text_count; i++)
        append->texts[i] = str_pack(&at, texts[i]);
    return append;
}
