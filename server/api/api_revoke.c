/* api_revoke.c - POST /api/v1/revoke: tokens that no longer count, by their jti or all that a user had before a time.
 */
#include "server/api/api_private.h"

/* After its end a token may still be taken for the leeway, which is at most this. */
enum { LEEWAY_MAX_MS = 10 * 60 * 1000 };

/* Past that a time is none that a token could have. */
static const uint64_t end_ms = UINT64_C(253402300800000);

/* In whatever form the token had it. */
static enum err read_seconds(const char *name, struct json_value value, uint64_t *out_ms, struct error *error)
{
    uint64_t ms = 0;
    if (!value.type)
        return ERR_NONE;
    enum json_scaled scaled = json_scale(value, 3, &ms);
    if ((scaled != JSON_SCALED_EXACT && scaled != JSON_SCALED_CUT) || ms == 0 || ms >= end_ms)
        return error_set(error, ERR_INVALID_REQUEST, "%s: expected seconds since 1970", name);
    *out_ms = ms;
    return ERR_NONE;
}

static enum err check_value(const struct revocation *revocation, struct error *error)
{
    if (revocation->value.len == 0 || revocation->value.len > REVOCATION_VALUE_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "%s: expected 1 to %d bytes",
                         revocation->kind == REVOCATION_JTI ? "jti" : "user", REVOCATION_VALUE_MAX);
    return ERR_NONE;
}

static enum err read_revocation(const struct api_request *request, struct revocation *out, struct error *error)
{
    struct json_value body, jti = {0}, user = {0}, issued_before = {0}, exp = {0};
    const struct json_field fields[] = {
        {"jti", JSON_STRING, false, &jti},
        {"user", JSON_STRING, false, &user},
        {"issued_before", JSON_NUMBER, false, &issued_before},
        {"exp", JSON_NUMBER, false, &exp},
    };
    struct api *api = request->api;
    uint64_t now_ms = api->ops->wall_ms(api->owner), exp_ms = 0;
    *out = (struct revocation){0};
    enum err err = api_read_body(request, &body, error);
    if (!err)
        err = json_bind_given(body, "", fields, sizeof fields / sizeof *fields, error);
    if (!err && !jti.type == !user.type)
        err = error_set(error, ERR_INVALID_REQUEST, "expected one of jti and user");
    if (!err && exp.type && user.type)
        err = error_set(error, ERR_INVALID_REQUEST, "exp: is for a jti, whose token ends then");
    if (!err)
        err = api_text(api, "jti", jti, &out->value, error);
    if (!err)
        err = api_text(api, "user", user, &out->value, error);
    if (!err)
        err = read_seconds("issued_before", issued_before, &out->issued_before_ms, error);
    if (!err)
        err = read_seconds("exp", exp, &exp_ms, error);
    if (err)
        return err;
    out->kind = jti.type ? REVOCATION_JTI : REVOCATION_USER;
    if (user.type && !issued_before.type)
        out->issued_before_ms = now_ms;
    out->until_ms = exp_ms ? exp_ms + LEEWAY_MAX_MS : now_ms + api->config.revocation_ttl_ms;
    return check_value(out, error);
}

static void revoked(const struct api_request *request, struct request *asked)
{
    (void)asked;
    buf_append_lit(&request->call->response.body, "{}");
    api_respond(request, 200);
}

void api_revoke(const struct api_request *request)
{
    struct api *api = request->api;
    struct revocation revocation;
    struct error error;
    enum err err = read_revocation(request, &revocation, &error);
    if (!err && api->ops->revocation_count(api->owner) >= api->config.revocations_max) {
        request->call->response.retry_after_s = 60;
        err = error_set(&error, ERR_UNAVAILABLE,
                        "%llu revocations are kept, which is the limit; nothing was revoked. Raise revocation.max, or "
                        "change the key that tokens are signed with",
                        (unsigned long long)api->config.revocations_max);
    }
    if (err) {
        api_respond_error(request, &error);
        return;
    }
    api_ask(request, &revoke_request_create(&revocation)->base, revoked);
}
