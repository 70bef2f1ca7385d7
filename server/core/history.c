/* history.c - see history.h. */
#include "server/core/history.h"

#include "common/base/alloc.h"
#include "common/base/mailbox.h"

struct history_read *history_read_create(struct str channel)
{
    struct history_read *read = xcalloc(1, sizeof *read + channel.len);
    if (channel.len)
        memcpy(read->bytes, channel.ptr, channel.len);
    read->channel = str_from(read->bytes, channel.len);
    return read;
}

void history_read_expect(struct history_read *read, struct str epoch)
{
    if (epoch.len)
        memcpy(read->asked_epoch, epoch.ptr, epoch.len);
}

enum err history_read_check(const struct history_read *read, struct error *error)
{
    if (read->error.code) {
        *error = read->error;
        return error->code;
    }
    if (read->asked_epoch[0] && strcmp(read->asked_epoch, read->epoch) != 0)
        return error_set(error, ERR_CONFLICT,
                         "epoch: the channel's history has begun anew since that position; ask without one");
    return ERR_NONE;
}

void history_read_destroy(struct history_read *read)
{
    buf_fini(&read->text);
    free(read->events);
    free(read);
}

/* Begins an event, whose text is to be appended. */
static struct history_event *begin_event(struct history_read *read, uint64_t offset)
{
    if (read->count == read->cap) {
        read->cap = read->cap ? read->cap * 2 : 16;
        read->events = xrealloc(read->events, read->cap * sizeof *read->events);
    }
    if (read->count)
        buf_append_char(&read->text, ',');
    struct history_event *event = &read->events[read->count++];
    *event = (struct history_event){.offset = offset, .begin = read->text.len};
    return event;
}

void history_read_add(struct history_read *read, const struct event *event)
{
    struct history_event *added = begin_event(read, event->offset);
    event_encode(&read->text, event);
    added->len = read->text.len - added->begin;
}

void history_read_add_json(struct history_read *read, uint64_t offset, struct str json)
{
    struct history_event *added = begin_event(read, offset);
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

static void deliver_read(struct mail *mail, void *owner)
{
    struct history_read *read = CONTAINER_OF(mail, struct history_read, mail);
    read->done(read, owner);
}

void history_read_answer(struct history_read *read)
{
    read->mail.deliver = deliver_read;
    mailbox_post(read->reply_to, &read->mail);
}

struct recovery *recovery_create(struct str channel)
{
    struct recovery *recovery = xcalloc(1, sizeof *recovery + channel.len);
    if (channel.len)
        memcpy(recovery->bytes, channel.ptr, channel.len);
    recovery->channel = str_from(recovery->bytes, channel.len);
    return recovery;
}

void recovery_destroy(struct recovery *recovery)
{
    list_remove(&recovery->link);
    free(recovery);
}

void replay_destroy(struct replay *replay)
{
    for (size_t i = 0; i < replay->count; i++)
        message_unref(replay->messages[i]);
    for (struct list_link *link; (link = list_take_first(&replay->recoveries));)
        recovery_destroy(CONTAINER_OF(link, struct recovery, link));
    free(replay);
}
