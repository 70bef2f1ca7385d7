/* dev_facts.c - see dev_facts.h. */
#include "server/cli/dev_facts.h"

void dev_facts_fill(struct buf *out, const struct dev_facts *facts, const char *text)
{
    for (; *text; text++) {
        const char *end = *text == '{' ? strchr(text, '}') : NULL;
        if (!end) {
            buf_append_char(out, *text);
            continue;
        }
        bool is_user = str_eq(str_from(text + 1, (size_t)(end - text - 1)), STR("sub"));
        buf_append(out, str_from_cstr(is_user ? facts->users[0].name : DEMO_USER));
        text = end;
    }
}

const char *dev_facts_tls(const struct dev_facts *facts)
{
    return *facts->options->tls_certificate ? "s" : "";
}

void dev_facts_append_url(struct buf *out, const struct dev_facts *facts, const struct endpoint_options *endpoint)
{
    buf_appendf(out, "ws%s://%s", dev_facts_tls(facts), facts->addresses->clients);
    dev_facts_fill(out, facts, endpoint->path);
}

const char *dev_facts_query(const struct endpoint_options *endpoint)
{
    return endpoint->token_query.count ? endpoint->token_query.items[0] : NULL;
}

void dev_facts_append_token_url(struct buf *out, const struct dev_facts *facts, const struct endpoint_options *endpoint,
                                const struct dev_user *user)
{
    const char *query = dev_facts_query(endpoint);
    dev_facts_append_url(out, facts, endpoint);
    if (query)
        buf_appendf(out, "?%s=%s", query, user->token);
}
