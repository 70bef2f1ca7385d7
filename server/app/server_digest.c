/* server_digest.c - the settings that all nodes of an installation must share, because events of one channel pass
 * through any node. Rights are not among them: each node decides alone who may enter. */
#include <stdio.h>

#include "server/app/server_private.h"
#include "server/app/version.h"

/* A node with other keys belongs to another installation, or does not have the new keys yet. */
static void add_keys(struct buf *digest, const struct token_keys *keys)
{
    struct buf value = {0};
    buf_appendf(&value, "%zu keys of digest %04x", token_keys_count(keys), token_keys_digest(keys));
    settings_digest_add(digest, STR("token.keys"), buf_str(&value));
    buf_fini(&value);
}

static void add_number(struct buf *digest, const char *name, uint64_t number, const char *unit)
{
    char text[40];
    int len = snprintf(text, sizeof text, "%llu%s", (unsigned long long)number, unit);
    settings_digest_add(digest, str_from_cstr(name), str_from(text, (size_t)len));
}

/* A rule decides for the channels it matches first, so its place counts too. */
static void add_rule(struct buf *digest, size_t index, const struct channel_options *channel)
{
    struct buf name = {0}, value = {0};
    buf_appendf(&name, "channels[%zu]", index);
    buf_appendf(&value, "%s: history.size %llu, history.ttl %llu ms", channel->match,
                (unsigned long long)channel->history_size, (unsigned long long)channel->history_ttl_ms);
    if (channel->presence)
        buf_appendf(&value, ", presence_ttl %llu ms, presence_events %s", (unsigned long long)channel->presence_ttl_ms,
                    channel->presence_events ? "true" : "false");
    if (channel->publisher != PUBLISHER_USER)
        buf_appendf(&value, ", publisher %s", channel->publisher == PUBLISHER_SESSION ? "session" : "none");
    if (channel->sender == CHANNEL_SENDER_VERIFIED)
        buf_append_lit(&value, ", sender verified");
    settings_digest_add(digest, buf_str(&name), buf_str(&value));
    buf_fini(&name);
    buf_fini(&value);
}

/* More rules than are sent: whether they differ, and no longer which one. */
static void add_digest(struct buf *digest, struct str rules, size_t count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    struct buf value = {0};
    for (size_t i = 0; i < rules.len; i++)
        hash = (hash ^ (unsigned char)rules.ptr[i]) * UINT64_C(0x100000001b3);
    buf_appendf(&value, "%zu rules of digest %016llx", count, (unsigned long long)hash);
    settings_digest_add(digest, STR("channels"), buf_str(&value));
    buf_fini(&value);
}

void server_tell_settings(struct server *server)
{
    const struct options *o = server->options;
    struct buf digest = {0}, rules = {0};
    settings_digest_add(&digest, STR("version"), STR(CARILLON_VERSION));
    add_number(&digest, "idempotency_window", o->idempotency_window_ms, " ms");
    add_number(&digest, "revocation.ttl", o->revocation_ttl_ms, " ms");
    add_number(&digest, "redis.canary_interval", o->redis_canary_interval_ms, " ms");
    settings_digest_add(&digest, STR("events.custom"), o->events_custom ? STR("true") : STR("false"));
    add_keys(&digest, server->configuration.keys);
    for (size_t i = 0; i < o->channels.count; i++)
        add_rule(&rules, i, &o->channels.items[i]);
    if (digest.len + rules.len <= SETTINGS_DIGEST_BYTES_MAX)
        buf_append(&digest, buf_str(&rules));
    else
        add_digest(&digest, buf_str(&rules), o->channels.count);
    peers_set_settings(server->node.peers, buf_str(&digest));
    buf_fini(&digest);
    buf_fini(&rules);
}
