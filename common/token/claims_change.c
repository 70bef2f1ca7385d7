/* claims_change.c - claims that a backend has put over those of a token; see claims.h. */
#include <assert.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/token/claims.h"

/* Members of the object that the other one does not have. */
static void append_members(struct buf *out, struct json_value object, struct json_value above)
{
    struct json_cursor at = json_walk(object);
    struct json_value value;
    struct buf scratch = {0};
    struct str raw_key, key;
    while (json_next(&at, &raw_key, &value)) {
        buf_clear(&scratch);
        struct json_value quoted = json_value_of(str_from(raw_key.ptr - 1, raw_key.len + 2));
        if (!json_text(quoted, &scratch, &key) || (above.type && json_member(above, key).type))
            continue; /* a name with a NUL is nobody's */
        buf_append_char(out, out->len ? ',' : '{');
        buf_append(out, quoted.raw);
        buf_append_char(out, ':');
        buf_append(out, value.raw);
    }
    buf_fini(&scratch);
}

static struct claims_changes *changes_create(struct claims *token, struct json_value changes, uint64_t ends_ms)
{
    struct claims_changes *made = xmalloc(sizeof *made + changes.raw.len + 1);
    char *at = (char *)(made + 1);
    *made = (struct claims_changes){.token = claims_ref(token), .ends_ms = ends_ms};
    made->text = str_pack(&at, changes.raw);
    return made;
}

enum err claims_change(struct claims *token, struct json_value changes, struct claims **out, struct error *error)
{
    struct buf payload = {0};
    assert(!token->changes);
    append_members(&payload, changes, (struct json_value){0});
    append_members(&payload, token->payload, changes);
    buf_append_char(&payload, '}');
    enum err err = claims_parse(buf_str(&payload), out, error);
    buf_fini(&payload);
    if (err)
        return err;
    uint64_t ends_ms = json_member(changes, STR("exp")).type ? (*out)->exp_ms : 0;
    (*out)->changes = changes_create(token, changes, ends_ms);
    return ERR_NONE;
}

enum err claims_change_again(const struct claims *before, struct claims **claims, struct error *error)
{
    struct claims *token = *claims;
    if (!before->changes)
        return ERR_NONE;
    enum err err = claims_change(token, json_value_of(before->changes->text), claims, error);
    if (err)
        return err;
    if (token->exp_ms && (!(*claims)->exp_ms || token->exp_ms < (*claims)->exp_ms))
        (*claims)->exp_ms = token->exp_ms;
    claims_unref(token);
    return ERR_NONE;
}

const struct claims *claims_of_token(const struct claims *claims)
{
    return claims->changes ? claims->changes->token : claims;
}

uint64_t claims_end_by_backend(const struct claims *claims)
{
    return claims->changes ? claims->changes->ends_ms : 0;
}
