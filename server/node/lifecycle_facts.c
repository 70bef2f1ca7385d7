/* lifecycle_facts.c - events that requests stand for: a request that the broker has carried out has changed something.
 */
#include "common/base/clock.h"
#include "common/json/json.h"
#include "server/core/presence.h"
#include "server/core/ticket.h"
#include "server/node/lifecycle_private.h"

static void append_member(struct buf *out, const char *name, struct str text)
{
    buf_appendf(out, "%s\"%s\":", out->len ? "," : "", name);
    json_append_string(out, text);
}

static void append_time(struct buf *out, const char *name, uint64_t wall_ms)
{
    char text[CLOCK_RFC3339_LEN + 1];
    clock_format(wall_ms, text);
    append_member(out, name, str_from(text, CLOCK_RFC3339_LEN));
}

static void tell_revoked(struct lifecycle *lifecycle, const struct revocation *revocation)
{
    struct buf data = {0};
    append_member(&data, revocation->kind == REVOCATION_USER ? "user" : "jti", revocation->value);
    if (revocation->issued_before_ms)
        append_time(&data, "issued_before", revocation->issued_before_ms);
    append_time(&data, "until", revocation->until_ms);
    lifecycle_tell(lifecycle, LIFECYCLE_TOKEN_REVOKED, LIFECYCLE_TELL, revocation->value, buf_str(&data), STR(""));
    buf_fini(&data);
}

/* The key is a hash of the ticket, which nobody can use. */
static void tell_issued(struct lifecycle *lifecycle, const struct ticket_request *ticket)
{
    struct buf data = {0};
    struct buf scratch = {0};
    struct json_value claims;
    struct str user = STR("");
    if (!json_check(ticket->facts.claims, NULL, &claims, NULL))
        json_text(json_member(claims, STR("sub")), &scratch, &user);
    append_member(&data, "user", user);
    append_member(&data, "purpose", ticket->facts.purpose);
    append_member(&data, "resource", ticket->facts.resource);
    buf_appendf(&data, ",\"ttl_ms\":%llu", (unsigned long long)ticket->ttl_ms);
    lifecycle_tell(lifecycle, LIFECYCLE_TICKET_ISSUED, LIFECYCLE_TELL, ticket->key, buf_str(&data), STR(""));
    buf_fini(&data);
    buf_fini(&scratch);
}

static void tell_members(struct lifecycle *lifecycle, struct str channel, struct str changed)
{
    struct str user;
    bool here;
    if (!changed.len || !lifecycle_covers(lifecycle->settings, channel))
        return;
    while (presence_next_changed(&changed, &here, &user)) {
        struct buf data = {0};
        append_member(&data, "user", user);
        append_member(&data, "channel", channel);
        lifecycle_tell(lifecycle, here ? LIFECYCLE_PRESENCE_JOINED : LIFECYCLE_PRESENCE_LEFT, LIFECYCLE_TELL, user,
                       buf_str(&data), STR(""));
        buf_fini(&data);
    }
}

void lifecycle_hear(struct lifecycle *lifecycle, struct request *request)
{
    if (!lifecycle->settings)
        return;
    if (request->kind == REQUEST_PRESENCE_UPDATE)
        tell_members(lifecycle, request->channel,
                     buf_str(&CONTAINER_OF(request, struct presence_update, base)->changed));
    else if (request->kind == REQUEST_PRESENCE_READ)
        tell_members(lifecycle, request->channel, buf_str(&presence_read_of(request)->changed));
    else if (request->error)
        return;
    else if (request->kind == REQUEST_REVOKE && lifecycle_tells(lifecycle->settings, LIFECYCLE_TOKEN_REVOKED))
        tell_revoked(lifecycle, &CONTAINER_OF(request, struct revoke_request, base)->revocation);
    else if (request->kind == REQUEST_TICKET && ticket_request_of(request)->action == TICKET_ISSUE &&
             ticket_request_of(request)->outcome == TICKET_DONE)
        tell_issued(lifecycle, ticket_request_of(request));
}
