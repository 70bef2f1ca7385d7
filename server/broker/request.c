/* request.c - see request.h. */
#include "server/broker/request.h"

#include "common/base/alloc.h"

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
    request->revocation.value = str_from(request->bytes, revocation->value.len);
    memcpy(request->bytes, revocation->value.ptr, revocation->value.len);
    return request;
}
