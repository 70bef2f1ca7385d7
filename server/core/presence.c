/* presence.c - see presence.h. */
#include "server/core/presence.h"

#include "common/base/alloc.h"
#include "common/json/json.h"

static void write_entry(struct buf *out, const struct claims *claims)
{
    struct json_value info = json_member(claims->payload, STR("info"));
    buf_append_lit(out, "{\"user\":");
    json_append_string(out, claims->sub);
    if (info.type && info.raw.len <= PRESENCE_INFO_MAX) {
        buf_append_lit(out, ",\"info\":");
        buf_append(out, info.raw);
    }
    buf_append_char(out, '}');
}

struct presence_change *presence_change_create(bool here, const struct presence_policy *policy, struct str channel,
                                               const struct claims *claims)
{
    struct buf entry = {0};
    if (here)
        write_entry(&entry, claims);
    struct presence_change *change = xcalloc(1, sizeof *change + channel.len + claims->sub.len + entry.len);
    char *at = change->bytes;
    change->here = here;
    change->policy = *policy;
    change->channel = str_pack(&at, channel);
    change->user = str_pack(&at, claims->sub);
    change->entry = str_pack(&at, buf_str(&entry));
    buf_fini(&entry);
    return change;
}

struct presence_change *presence_change_create_policy(const struct presence_policy *policy, struct str channel)
{
    struct presence_change *change = xcalloc(1, sizeof *change + channel.len);
    char *at = change->bytes;
    change->policy_only = true;
    change->policy = *policy;
    change->channel = str_pack(&at, channel);
    return change;
}

static void fini_read(struct request *request)
{
    struct presence_read *read = presence_read_of(request);
    buf_fini(&read->changed);
    buf_fini(&read->members);
    buf_fini(&read->next);
}

struct presence_read *presence_read_create(const struct presence_policy *policy, struct str channel, struct str after,
                                           uint64_t limit, struct str command_id)
{
    struct presence_read *read = xcalloc(1, sizeof *read + channel.len + after.len + command_id.len);
    char *at = read->bytes;
    read->base.kind = REQUEST_PRESENCE_READ;
    read->base.fini = fini_read;
    read->base.channel = str_pack(&at, channel);
    read->base.command_id = str_pack(&at, command_id);
    read->policy = *policy;
    read->after = str_pack(&at, after);
    read->limit = limit;
    return read;
}

void presence_read_add(struct presence_read *read, struct str entry)
{
    if (read->members.len)
        buf_append_char(&read->members, ',');
    buf_append(&read->members, entry);
    read->count++;
}

struct presence_page presence_read_page(const struct presence_read *read)
{
    return (struct presence_page){.users = read->users,
                                  .connections = read->connections,
                                  .members = buf_str(&read->members),
                                  .next = buf_str(&read->next)};
}

static void fini_update(struct request *request)
{
    buf_fini(&CONTAINER_OF(request, struct presence_update, base)->changed);
}

struct presence_update *presence_update_create(size_t items)
{
    struct presence_update *update = xcalloc(1, sizeof *update + items * sizeof *update->items);
    update->base.kind = REQUEST_PRESENCE_UPDATE;
    update->base.fini = fini_update;
    return update;
}

/* Each has a sign, the user, and a NUL, which no user has. */
void presence_note_changed(struct buf *changed, bool here, struct str user)
{
    buf_append_char(changed, here ? '+' : '-');
    buf_append(changed, user);
    buf_append_char(changed, '\0');
}

bool presence_next_changed(struct str *rest, bool *out_here, struct str *out_user)
{
    if (!rest->len)
        return false;
    *out_here = rest->ptr[0] == '+';
    struct str after = str_skip(*rest, 1);
    *out_user = str_split(&after, '\0');
    *rest = str_skip(*rest, out_user->len + 2);
    return true;
}
