/* request.c - see request.h. */
#include "server/core/request.h"

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "common/base/mailbox.h"

static void deliver_answer(struct mail *mail, void *owner)
{
    struct broker_request *request = CONTAINER_OF(mail, struct broker_request, mail);
    request->done(request, owner);
}

void broker_request_answer(struct broker_request *request)
{
    request->mail.deliver = deliver_answer;
    mailbox_post(request->reply_to, &request->mail);
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
