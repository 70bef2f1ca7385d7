/* subscribe_step.c - see subscribe_step.h. */
#include "server/net/entry/subscribe_step.h"

static bool find_value(const struct entry *entry, struct str name, struct str *out)
{
    const struct admission *admission = &entry->admission;
    *out = STR("");
    if (admission->origin && origin_values_find(&admission->origin->names, name, out))
        return true;
    if (str_eq(name, STR("session_id")))
        *out = str_from(entry->uuid, UUID_LEN);
    else if (admission->claims)
        claims_text(admission->claims, name, out);
    return out->len > 0;
}

bool entry_fill(const struct entry *entry, struct str template, struct buf *out, struct str *out_missing)
{
    while (template.len > 0) {
        const char *open = memchr(template.ptr, '{', template.len);
        size_t literal = open ? (size_t)(open - template.ptr) : template.len;
        struct str name, value;
        buf_append(out, str_from(template.ptr, literal));
        template = str_skip(template, literal);
        if (!pattern_next_claim(&template, &name)) {
            buf_append(out, template);
            return true;
        }
        if (!find_value(entry, name, &value)) {
            *out_missing = name;
            return false;
        }
        buf_append(out, value);
    }
    return true;
}

static void refuse_missing(struct entry *entry, struct str template, struct str name)
{
    struct error error;
    char quoted[ERROR_QUOTE_LEN], of[ERROR_QUOTE_LEN];
    error_set(&error, ERR_FORBIDDEN,
              "this endpoint subscribes to %s, and the token has no claim %s; get a token with it",
              error_quote(template, of), error_quote(name, quoted));
    entry_explain(entry, error.text);
}

static bool subscribe(struct hub *hub, struct entry *entry, struct str template, struct buf *channel)
{
    struct str missing;
    struct error why, error;
    char quoted[ERROR_QUOTE_LEN];
    buf_clear(channel);
    if (!entry_fill(entry, template, channel, &missing)) {
        refuse_missing(entry, template, missing);
        return false;
    }
    if (!access_check(hub_rules(hub), buf_str(channel), entry->admission.claims, ALLOW_SUBSCRIBE, &why) &&
        !entry_subscribe(entry, buf_str(channel), false, &why))
        return true;
    error_set(&error, ERR_FORBIDDEN, "this endpoint subscribes to %s: %s", error_quote(buf_str(channel), quoted),
              why.text);
    entry_explain(entry, error.text);
    return false;
}

static enum entry_verdict begin(void *owner, struct entry *entry, const struct http_head *head, enum reason *out_reason)
{
    const struct texts *templates = &entry->admission.endpoint->subscribe;
    struct buf channel = {0};
    bool passes = true;
    (void)head;
    for (size_t i = 0; passes && i < templates->count; i++)
        passes = subscribe(owner, entry, templates->items[i], &channel);
    buf_fini(&channel);
    *out_reason = REASON_CHANNEL_DENIED;
    return passes ? ENTRY_PASSES : ENTRY_IS_REFUSED;
}

struct entry_step subscribe_step(struct hub *hub)
{
    return (struct entry_step){.begin = begin, .owner = hub};
}
