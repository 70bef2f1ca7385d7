/* ticket.c - see ticket.h. */
#include "server/core/ticket.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "common/token/base64url.h"
#include "common/token/fingerprint.h"

static void forget_kept(struct request *request)
{
    free(ticket_request_of(request)->kept);
}

struct ticket_request *ticket_request_create(enum ticket_action action, struct str key,
                                             const struct ticket_facts *facts, struct str holder, struct str positions)
{
    static const struct ticket_facts none = {.resumes = false};
    const struct ticket_facts *given = facts ? facts : &none;
    size_t len = key.len + given->purpose.len + given->resource.len + given->claims.len + holder.len + positions.len;
    struct ticket_request *request = xcalloc(1, sizeof *request + len);
    char *at = request->bytes;
    request->base.kind = REQUEST_TICKET;
    request->base.fini = forget_kept;
    request->action = action;
    request->key = str_pack(&at, key);
    request->facts = (struct ticket_facts){
        .purpose = str_pack(&at, given->purpose),
        .resource = str_pack(&at, given->resource),
        .claims = str_pack(&at, given->claims),
        .resumes = given->resumes,
    };
    request->holder = str_pack(&at, holder);
    request->positions = str_pack(&at, positions);
    return request;
}

void ticket_request_tell(struct ticket_request *request, const struct ticket_facts *facts, struct str positions)
{
    char *at = request->kept =
        xmalloc(facts->purpose.len + facts->resource.len + facts->claims.len + positions.len + 1);
    request->facts = (struct ticket_facts){
        .purpose = str_pack(&at, facts->purpose),
        .resource = str_pack(&at, facts->resource),
        .claims = str_pack(&at, facts->claims),
        .resumes = facts->resumes,
    };
    request->positions = str_pack(&at, positions);
}

void ticket_make(char out[TICKET_LEN + 1])
{
    char bytes[TICKET_BYTES];
    struct buf text = {0};
    random_bytes(bytes, sizeof bytes);
    buf_reserve(&text, TICKET_LEN + 1);
    base64url_append(&text, str_from(bytes, sizeof bytes));
    assert(text.len == TICKET_LEN);
    memcpy(out, buf_cstr(&text), TICKET_LEN + 1);
    buf_wipe(&text);
    explicit_bzero(bytes, sizeof bytes);
}

void ticket_key(struct str text, char out[TICKET_KEY_LEN + 1])
{
    char hash[FINGERPRINT_BYTES];
    struct buf name = {0};
    fingerprint_of(text, hash);
    base64url_append(&name, str_from(hash, sizeof hash));
    assert(name.len == TICKET_KEY_LEN);
    memcpy(out, buf_cstr(&name), TICKET_KEY_LEN + 1);
    buf_fini(&name);
}
