/* command_answers.c - the node has answered what a command asked, and the client gets its reply. */
#include "server/core/hub_private.h"

static struct reply published(struct session *session, const struct publication *publication)
{
    if (publication->offset == 1 && !publication->duplicate)
        command_began_history(session->hub, session);
    return (struct reply){.type = REPLY_PUBLISHED,
                          .published = {.event = {.epoch = str_from_cstr(publication->epoch),
                                                  .offset = publication->offset,
                                                  .id = str_from_cstr(publication->id)},
                                        .duplicate = publication->duplicate}};
}

static struct reply history(const struct history_read *read)
{
    return (struct reply){.type = REPLY_HISTORY,
                          .history = {.position = {.epoch = str_from_cstr(read->epoch), .offset = read->offset},
                                      .events = buf_str(&read->text),
                                      .more = read->more}};
}

static struct reply presence(const struct presence_read *read)
{
    return (struct reply){.type = REPLY_PRESENCE, .presence = presence_read_page(read)};
}

static void answer(struct session *session, struct request *request)
{
    struct hub *hub = session->hub;
    struct reply reply;
    command_page_came(session, request);
    if (request->error) {
        output_error(hub, session, request->command_id, request->channel, request->error->code,
                     str_from_cstr(request->error->text));
        return;
    }
    if (request->kind == REQUEST_PUBLISH)
        reply = published(session, publication_of(request));
    else if (request->kind == REQUEST_HISTORY)
        reply = history(history_read_of(request));
    else
        reply = presence(presence_read_of(request));
    reply.id = request->command_id;
    reply.channel = request->channel;
    output_reply(hub, session, &reply);
}

void command_ask(struct session *session, struct request *request)
{
    session_ask(session, request, answer);
}
