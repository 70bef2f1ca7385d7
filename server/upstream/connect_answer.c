/* connect_answer.c - see connect_answer.h. */
#include "server/upstream/connect_answer.h"

#include "common/token/base64url.h"
#include "server/upstream/cloudevents.h"

void connect_answer_fini(struct connect_answer *answer)
{
    claims_unref(answer->claims);
    buf_fini(&answer->state);
    buf_fini(&answer->texts);
    *answer = (struct connect_answer){0};
}

/* What goes over the token's payload. */
struct changes {
    struct json_value user;
    struct json_value claims;
    struct json_value expires_at;
};

static bool is_changed(const struct changes *changes, struct str key)
{
    return (changes->user.type && str_eq(key, STR("sub"))) || (changes->expires_at.type && str_eq(key, STR("exp")));
}

static void append_member(struct buf *out, struct str raw_key, struct str raw)
{
    buf_append_char(out, out->len ? ',' : '{');
    buf_append_char(out, '"');
    buf_append(out, raw_key);
    buf_append_lit(out, "\":");
    buf_append(out, raw);
}

static void append_claims(struct buf *out, const struct changes *changes)
{
    struct json_cursor at = json_walk(changes->claims);
    struct json_value value;
    struct buf scratch = {0};
    struct str raw_key, key;
    while (json_next(&at, &raw_key, &value)) {
        buf_clear(&scratch);
        struct json_value quoted = json_value_of(str_from(raw_key.ptr - 1, raw_key.len + 2));
        if (json_text(quoted, &scratch, &key) && !is_changed(changes, key))
            append_member(out, raw_key, value.raw);
    }
    buf_fini(&scratch);
}

static enum err change_claims(const struct changes *changes, struct claims *before, struct claims **out,
                              struct error *error)
{
    struct buf text = {0};
    struct error found;
    if (changes->user.type)
        append_member(&text, STR("sub"), changes->user.raw);
    if (changes->expires_at.type)
        append_member(&text, STR("exp"), changes->expires_at.raw);
    if (changes->claims.type)
        append_claims(&text, changes);
    if (!text.len)
        return ERR_NONE;
    buf_append_char(&text, '}');
    enum err err = claims_change(before, json_value_of(buf_str(&text)), out, &found);
    buf_fini(&text);
    return err ? error_set(error, ERR_INVALID_REQUEST, "user, claims, expires_at: %s", found.text) : ERR_NONE;
}

static enum err check_channels(struct json_value subscribe, struct error *error)
{
    struct json_cursor at;
    struct json_value item;
    struct str key;
    if (!subscribe.type)
        return ERR_NONE;
    at = json_walk(subscribe);
    while (json_next(&at, &key, &item))
        if (item.type != JSON_STRING)
            return error_set(error, ERR_INVALID_REQUEST, "subscribe: expected names of channels");
    return ERR_NONE;
}

static enum err take_state(struct json_value state, struct buf *out, struct error *error)
{
    if (!state.type)
        return ERR_NONE;
    base64url_append(out, state.raw);
    if (out->len > CONNECTION_STATE_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "state: %zu bytes in base64url, and at most %d can be kept",
                         out->len, CONNECTION_STATE_MAX);
    return ERR_NONE;
}

static enum err read_object(struct json_value value, bool azure, struct claims *before, struct connect_answer *out,
                            struct error *error)
{
    struct changes changes = {0};
    struct json_value subprotocol = {0}, state = {0};
    const struct json_field fields[] = {
        {azure ? "userId" : "user", JSON_STRING, false, &changes.user},
        {azure ? "groups" : "subscribe", JSON_ARRAY, false, &out->subscribe},
        {"subprotocol", JSON_STRING, false, &subprotocol},
        {"claims", JSON_OBJECT, false, &changes.claims},
        {"expires_at", JSON_NUMBER, false, &changes.expires_at},
        {"state", JSON_ANY, false, &state},
    };
    size_t count = azure ? 3 : sizeof fields / sizeof *fields; /* that dialect has no others */
    enum err err = json_bind_given(value, "", fields, count, error);
    if (err == ERR_NONE && subprotocol.type && !json_text(subprotocol, &out->texts, &out->subprotocol))
        err = error_set(error, ERR_INVALID_REQUEST, "subprotocol: it has a NUL");
    if (err == ERR_NONE)
        err = check_channels(out->subscribe, error);
    if (err == ERR_NONE)
        err = take_state(state, &out->state, error);
    return err ? err : change_claims(&changes, before, &out->claims, error);
}

enum err connect_answer_read(struct str text, bool azure, struct claims *before, struct connect_answer *out,
                             struct error *error)
{
    struct json_value value;
    *out = (struct connect_answer){0};
    if (!text.len)
        return ERR_NONE;
    enum err err = json_check(text, NULL, &value, error);
    if (err == ERR_NONE)
        err = read_object(value, azure, before, out, error);
    if (err != ERR_NONE)
        connect_answer_fini(out);
    return err;
}
