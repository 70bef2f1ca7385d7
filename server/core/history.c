/* history.c - see history.h. */
#include "server/core/history.h"

#include "common/base/alloc.h"

static void fini_read(struct request *request)
{
    struct history_read *read = history_read_of(request);
    buf_fini(&read->text);
    buf_fini(&read->excluded);
    free(read->events);
}

struct history_read *history_read_create(struct str channel, struct str command_id)
{
    struct history_read *read = xcalloc(1, sizeof *read + channel.len + command_id.len);
    char *at = read->bytes;
    read->base.kind = REQUEST_HISTORY;
    read->base.fini = fini_read;
    read->base.channel = str_pack(&at, channel);
    read->base.command_id = str_pack(&at, command_id);
    return read;
}

void history_read_expect(struct history_read *read, struct str epoch)
{
    if (epoch.len)
        memcpy(read->asked_epoch, epoch.ptr, epoch.len);
}

void history_read_check(struct history_read *read)
{
    if (!read->base.error && read->asked_epoch[0] && strcmp(read->asked_epoch, read->epoch) != 0)
        request_fail(&read->base, ERR_CONFLICT,
                     "epoch: the channel's history has begun anew since that position; ask without one");
}

/* Begins an event. The caller appends its text. */
static struct history_event *begin_event(struct history_read *read, uint64_t offset, struct str exclude)
{
    if (read->count == read->cap) {
        read->cap = read->cap ? read->cap * 2 : 16;
        read->events = xrealloc(read->events, read->cap * sizeof *read->events);
    }
    if (read->count)
        buf_append_char(&read->text, ',');
    struct history_event *event = &read->events[read->count++];
    *event = (struct history_event){.offset = offset, .begin = read->text.len};
    if (exclude.len == UUID_LEN) {
        event->exclude = read->excluded.len + 1;
        buf_append(&read->excluded, exclude);
    }
    return event;
}

void history_read_add(struct history_read *read, const struct event *event)
{
    struct history_event *added = begin_event(read, event->offset, event->exclude);
    event_encode(&read->text, event);
    added->len = read->text.len - added->begin;
}

void history_read_add_json(struct history_read *read, uint64_t offset, struct str exclude, struct str json)
{
    struct history_event *added = begin_event(read, offset, exclude);
    buf_append(&read->text, json);
    added->len = json.len;
}

void history_read_reverse(struct history_read *read)
{
    struct buf text = {0};
    buf_reserve(&text, read->text.len);
    for (size_t i = 0; i < read->count / 2; i++) {
        struct history_event other = read->events[i];
        read->events[i] = read->events[read->count - 1 - i];
        read->events[read->count - 1 - i] = other;
    }
    for (size_t i = 0; i < read->count; i++) {
        if (i)
            buf_append_char(&text, ',');
        size_t begin = text.len;
        buf_append(&text, history_read_json(read, i));
        read->events[i].begin = begin;
    }
    buf_fini(&read->text);
    read->text = text;
}

struct recovery *recovery_create(struct str channel)
{
    struct recovery *recovery = xcalloc(1, sizeof *recovery + channel.len);
    char *at = recovery->bytes;
    recovery->base.kind = REQUEST_RECOVERY;
    recovery->base.channel = str_pack(&at, channel);
    return recovery;
}

void replay_destroy(struct replay *replay)
{
    for (size_t i = 0; i < replay->count; i++)
        message_unref(replay->messages[i]);
    for (struct list_link *link; (link = list_take_first(&replay->recoveries));)
        request_destroy(&recovery_in(link)->base);
    free(replay);
}
