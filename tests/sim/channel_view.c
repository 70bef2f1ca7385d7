/* channel_view.c - see channel_view.h. */
#include "tests/sim/channel_view.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/json/json.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

/* One message of the server, taken apart. */
struct heard {
    size_t client;
    struct str text;
    struct str type;
    struct str channel_name;
    size_t channel; /* SIZE_MAX: none */
    struct json_value id, data, error, offset;
    struct str event_id; /* where id is an event's */
};

/* ---- commands ---- */

void asked_add(struct asked *all, const struct asked *asked)
{
    if (asked->kind == ASKED_PUBLISH)
        truth_attempt(asked->number);
    for (size_t i = 0; i < ASKED_MAX; i++)
        if (all[i].kind == ASKED_NOTHING) {
            all[i] = *asked;
            return;
        }
    if (asked->kind == ASKED_PUBLISH)
        truth_unknown(asked->number);
}

void asked_forget(struct asked *all)
{
    for (size_t i = 0; i < ASKED_MAX; i++) {
        if (all[i].kind == ASKED_PUBLISH)
            truth_unknown(all[i].number);
        all[i].kind = ASKED_NOTHING;
    }
}

bool asked_is_answered(const struct asked *all, enum asked_kind kind)
{
    for (size_t i = 0; i < ASKED_MAX; i++)
        if (all[i].kind == kind)
            return false;
    return true;
}

static struct asked take_asked(struct asked *all, struct json_value id)
{
    uint64_t number;
    for (size_t i = 0; id.type && json_u64(id, &number) && i < ASKED_MAX; i++)
        if (all[i].kind != ASKED_NOTHING && all[i].id == number) {
            struct asked found = all[i];
            all[i].kind = ASKED_NOTHING;
            return found;
        }
    return (struct asked){.kind = ASKED_NOTHING};
}

/* ---- positions ---- */

static struct str text_of(struct json_value object, const char *name)
{
    struct json_value value = json_member(object, str_from_cstr(name));
    struct str text;
    return value.type == JSON_STRING && json_text(value, NULL, &text) ? text : STR("");
}

static uint64_t number_of(struct json_value object, const char *name)
{
    uint64_t number = 0;
    struct json_value value = json_member(object, str_from_cstr(name));
    return value.type && json_u64(value, &number) ? number : 0;
}

static void set_position(struct channel_view *view, struct str epoch, uint64_t offset, struct str id)
{
    snprintf(view->epoch, sizeof view->epoch, "%.*s", STR_ARG(epoch));
    view->offset = offset;
    position_keep_id(view->id, id);
}

static void wrong(const struct heard *heard, const struct channel_view *view, const char *what)
{
    world_fail("client %zu on %.*s, at %s %llu: %s: %.*s", heard->client, STR_ARG(heard->channel_name), view->epoch,
               (unsigned long long)view->offset, what, STR_ARG(heard->text));
}

/* The channel goes on past events that do not go to this session, up to the one before offset. */
static void skip_excluded(struct channel_view *view, size_t channel, uint64_t offset)
{
    struct str epoch = str_from_cstr(view->epoch);
    while (epoch.len && view->offset + 1 < offset) {
        size_t record = truth_excluded(channel, epoch, view->offset + 1, ANY_NUMBER, view->session);
        if (!record)
            return;
        view->offset++;
        view->id[0] = '\0';
        view->record = record; /* it counts for the position: it may be lost, and another event may stand there */
    }
}

void channel_view_ask(struct channel_view *view)
{
    if (view->state == VIEW_OUT)
        view->state = VIEW_ASKED;
}

void channel_view_leave(struct channel_view *view)
{
    view->state = VIEW_OUT;
}

void channel_view_fini(struct channel_view *view)
{
    free(view->seen);
}

/* ---- channels without history: what comes is counted ---- */

/* Returns how often it has come. */
static unsigned note_seen(struct channel_view *view, uint64_t number)
{
    if (number >= view->seen_count) {
        size_t count = number * 2 + 64;
        view->seen = xrealloc(view->seen, count);
        memset(view->seen + view->seen_count, 0, count - view->seen_count);
        view->seen_count = count;
    }
    return ++view->seen[number];
}

static void check_seen(size_t client, size_t channel, const struct channel_view *view)
{
    uint64_t number;
    size_t count = truth_count_missing(channel, view->mark, view->session, view->seen, view->seen_count, &number);
    if (count)
        world_fail("client %zu on %s: has not got %zu events, one of them %llu, and was not told", client,
                   sim_channels[channel].name, count, (unsigned long long)number);
}

/* ---- what is heard ---- */

/* On a channel with history, under any rules, a position that is told has an epoch. The exception: Redis refused to
 * begin one. */
static void check_epoch(const struct heard *heard, const struct channel_view *view, struct str epoch)
{
    const struct sim_channel *channel = &sim_channels[heard->channel];
    if (!channel->history.size && epoch.len)
        wrong(heard, view, "an epoch on a channel without history");
    else if (channel->history.size && !channel->turns && !epoch.len && !truth_may_lack_epoch(heard->channel))
        wrong(heard, view, "no epoch, and Redis would have begun one");
}

static void hear_subscribed(const struct heard *heard, struct channel_view *view, const struct asked *asked)
{
    struct str epoch = text_of(heard->data, "epoch");
    uint64_t offset = number_of(heard->data, "offset");
    struct json_value recovered = json_member(heard->data, STR("recovered"));
    struct str head;
    uint64_t last;
    bool is_recovered = recovered.type && str_eq_cstr(recovered.raw, "true");
    if (view->state == VIEW_IN) {
        skip_excluded(view, heard->channel, offset + 1);
        if (!str_eq_cstr(epoch, view->epoch) || offset != view->offset)
            wrong(heard, view, "the position of a subscription has moved by itself");
        return;
    }
    check_epoch(heard, view, epoch);
    if (is_recovered && (!asked->since || !str_eq_cstr(epoch, asked->epoch) || offset != asked->offset))
        wrong(heard, view, "recovered from where it was not asked to");
    /* A node that is cut from Redis may know what Redis has lost meanwhile, and no longer what it has again. */
    bool is_lost = truth_head(heard->channel, &head, &last) && str_eq(epoch, head) && offset > last;
    /* When the node looked, Redis had gone back to before that position; by now others may have come to it again. */
    bool was_before = str_eq_cstr(epoch, asked->epoch) && offset < asked->offset;
    /* Without an epoch: check_epoch. */
    if (!is_recovered && asked->since && epoch.len && !is_lost && !was_before &&
        truth_can_recover(heard->channel, str_from_cstr(asked->epoch), asked->offset, view->record, asked->with_id))
        wrong(heard, view, "not recovered, and it could have been");
    view->state = VIEW_IN;
    view->mark = truth_mark();
    /* Without a history, a node that lags behind may send what another node has sent to an earlier subscription. */
    if (view->seen_count)
        memset(view->seen, 0, view->seen_count);
    set_position(view, epoch, offset, text_of(heard->data, "id"));
    /* Of a position without an id nobody can see that its event was lost and another one stands in its place. */
    if (!is_recovered)
        view->record = truth_record(heard->channel, epoch, offset, ANY_NUMBER);
    else if (!asked->with_id)
        view->record = 0;
}

/* The next one of its epoch. */
static void hear_numbered(const struct heard *heard, struct channel_view *view, uint64_t number, uint64_t offset)
{
    struct str epoch = str_from_cstr(view->epoch);
    skip_excluded(view, heard->channel, offset);
    if (!epoch.len)
        wrong(heard, view, "an event with an offset, and no epoch was told");
    else if (truth_excluded(heard->channel, epoch, offset, number, view->session))
        wrong(heard, view, "an event that does not go to this session");
    else if (!truth_count(heard->channel, epoch, offset, number))
        wrong(heard, view, "not the event of that position");
    else if (offset != view->offset + 1)
        wrong(heard, view, offset <= view->offset ? "an event comes again" : "an event is missing before this one");
    else if (!truth_follows(heard->channel, epoch, offset, number, view->record))
        wrong(heard, view, "what it got before was lost and replaced, and it was not told");
    view->offset = offset;
    position_keep_id(view->id, heard->event_id);
    view->record = truth_record(heard->channel, epoch, offset, number);
}

static void hear_event(const struct heard *heard, struct channel_view *view)
{
    const struct sim_channel *channel = &sim_channels[heard->channel];
    uint64_t number = number_of(heard->data, "n");
    uint64_t offset = 0;
    unsigned times = truth_times(heard->channel, number);
    bool is_numbered = heard->offset.type && json_u64(heard->offset, &offset);
    if (view->state != VIEW_IN)
        wrong(heard, view, "an event without a subscription");
    else if (is_numbered != (channel->history.size > 0) && !channel->turns)
        wrong(heard, view, is_numbered ? "an offset on a channel without history" : "an event without its offset");
    else if ((!is_numbered || channel->turns) && note_seen(view, number) > times)
        wrong(heard, view, times ? "an event comes again" : "not an event of this channel");
    else if (is_numbered)
        hear_numbered(heard, view, number, offset);
}

/* Joins and leaves may be missing, and events with an offset are not: it must go on from where it is. */
static bool is_of_presence(const struct heard *heard, const struct channel_view *view)
{
    return sim_channels[heard->channel].presence.events &&
           str_eq(text_of(heard->data, "reason"), STR("connection_lost")) &&
           str_eq_cstr(text_of(heard->data, "epoch"), view->epoch) && number_of(heard->data, "offset") == view->offset;
}

static void hear_gap(const struct heard *heard, struct channel_view *view)
{
    struct str epoch = text_of(heard->data, "epoch");
    uint64_t offset = number_of(heard->data, "offset");
    skip_excluded(view, heard->channel, offset + 1);
    if (view->state == VIEW_IN && view->epoch[0] && is_of_presence(heard, view))
        return;
    struct str reason = text_of(heard->data, "reason");
    skip_excluded(view, heard->channel, UINT64_MAX);
    bool turns = sim_channels[heard->channel].turns && str_eq(reason, STR("history_changed"));
    check_epoch(heard, view, epoch);
    if (view->state != VIEW_IN)
        wrong(heard, view, "a gap without a subscription");
    else if (view->epoch[0] && !turns &&
             truth_can_recover(heard->channel, str_from_cstr(view->epoch), view->offset, view->record, true))
        wrong(heard, view, "a gap where nothing is missing");
    /* A page of the history may have been ahead of the live events, and the node no longer knows how far. */
    if (turns && !epoch.len && view->seen_count)
        memset(view->seen, 0, view->seen_count);
    view->mark = truth_mark();
    set_position(view, epoch, offset, text_of(heard->data, "id"));
    view->record = truth_record(heard->channel, epoch, offset, ANY_NUMBER);
}

/* A page of the history: without holes, and of events that were there. */
static void hear_history(const struct heard *heard)
{
    struct str epoch = text_of(heard->data, "epoch");
    struct json_value events = json_member(heard->data, STR("events"));
    struct json_cursor at = json_walk(events);
    struct json_value event;
    struct str key;
    uint64_t last = 0;
    while (json_next(&at, &key, &event)) {
        uint64_t offset = number_of(event, "offset");
        if (last && offset != last + 1)
            world_fail("client %zu: a page of %.*s has a hole before %llu", heard->client, STR_ARG(heard->channel_name),
                       (unsigned long long)offset);
        if (!truth_count(heard->channel, epoch, offset, number_of(json_member(event, STR("data")), "n")))
            world_fail("client %zu: a page of %.*s has a wrong event at %llu", heard->client,
                       STR_ARG(heard->channel_name), (unsigned long long)offset);
        last = offset;
    }
}

static void hear_presence(const struct heard *heard, const struct asked *asked)
{
    uint64_t found = 0;
    struct json_cursor at = json_walk(json_member(heard->data, STR("members")));
    struct json_value member;
    struct str key;
    while (json_next(&at, &key, &member))
        found |= UINT64_C(1) << (text_of(member, "user").ptr[4] - '0');
    if (asked->must_be_exact && found != asked->expected)
        world_fail("client %zu: on %.*s should be %llx (a bit a user), and %llx are: %.*s", heard->client,
                   STR_ARG(heard->channel_name), (unsigned long long)asked->expected, (unsigned long long)found,
                   STR_ARG(heard->text));
}

static void hear_published(const struct heard *heard, struct asked asked)
{
    struct json_value duplicate = json_member(heard->data, STR("duplicate"));
    if (asked.kind == ASKED_PUBLISH)
        truth_acknowledged(asked.number, text_of(heard->data, "id"), text_of(heard->data, "epoch"),
                           number_of(heard->data, "offset"), duplicate.type && str_eq_cstr(duplicate.raw, "true"));
}

static void hear_error(const struct heard *heard, struct channel_view *views, struct asked asked)
{
    struct str message = json_member(heard->error, STR("message")).raw;
    if (asked.kind == ASKED_SUBSCRIBE && views[asked.number].state == VIEW_ASKED)
        views[asked.number].state = VIEW_OUT;
    if (asked.kind != ASKED_PUBLISH)
        return;
    if (memmem(message.ptr, message.len, "may or may not", 14))
        truth_unknown(asked.number);
    else
        truth_refused(asked.number);
}

/* All views of the client are of this session from now on. */
static void hear_session(struct str text, struct channel_view *views)
{
    struct str session = text_of(json_value_of(text), "session_id");
    for (size_t i = 0; i < sim_channel_count; i++)
        snprintf(views[i].session, sizeof views[i].session, "%.*s", STR_ARG(session));
}

static bool is_unavailable(const struct heard *heard)
{
    return str_eq(text_of(heard->error, "code"), STR("unavailable"));
}

static bool read_heard(struct str text, struct heard *out)
{
    struct json_value whole, type = {0}, channel = {0};
    const struct json_field fields[] = {
        {"type", JSON_STRING, true, &type},         {"id", JSON_ANY, false, &out->id},
        {"channel", JSON_STRING, false, &channel},  {"data", JSON_ANY, false, &out->data},
        {"error", JSON_OBJECT, false, &out->error}, {"offset", JSON_NUMBER, false, &out->offset}};
    if (json_check(text, NULL, &whole, NULL) || json_bind(whole, "", fields, sizeof fields / sizeof *fields, NULL) ||
        !json_text(type, NULL, &out->type))
        return false;
    if (channel.type && !json_text(channel, NULL, &out->channel_name))
        return false;
    out->event_id = STR("");
    if (out->id.type == JSON_STRING && !json_text(out->id, NULL, &out->event_id))
        return false;
    out->text = text;
    out->channel = sim_channel_find(out->channel_name);
    return true;
}

void channel_view_take(size_t client, struct channel_view *views, struct asked *all, struct str text)
{
    struct heard heard = {.client = client, .channel_name = STR("")};
    world_trace("client %zu hears %.*s", client, STR_ARG(text));
    if (!read_heard(text, &heard)) {
        world_fail("client %zu does not understand %.*s", client, STR_ARG(text));
        return;
    }
    bool is_event = str_eq_cstr(heard.type, "note");
    struct asked asked = is_event ? (struct asked){.kind = ASKED_NOTHING} : take_asked(all, heard.id);
    struct channel_view *view = heard.channel < sim_channel_count ? &views[heard.channel] : NULL;
    if (str_eq_cstr(heard.type, "session_init"))
        hear_session(text, views);
    else if (is_event && view)
        hear_event(&heard, view);
    else if (str_eq_cstr(heard.type, "subscribed") && view)
        hear_subscribed(&heard, view, &asked);
    else if (str_eq_cstr(heard.type, "unsubscribed") && view)
        view->state = VIEW_OUT;
    else if (str_eq_cstr(heard.type, "gap") && view)
        hear_gap(&heard, view);
    else if (str_eq_cstr(heard.type, "history") && view)
        hear_history(&heard);
    else if (str_eq_cstr(heard.type, "presence") && view)
        hear_presence(&heard, &asked);
    else if (str_eq_cstr(heard.type, "published"))
        hear_published(&heard, asked);
    else if (str_eq_cstr(heard.type, "error") && !asked.must_be_exact)
        hear_error(&heard, views, asked);
    else if (asked.must_be_exact && !(asked.may_be_unknown && is_unavailable(&heard)))
        world_fail("client %zu is not told who is there: %.*s", client, STR_ARG(text));
    else if (!asked.must_be_exact && !str_eq_cstr(heard.type, "join") && !str_eq_cstr(heard.type, "leave"))
        world_fail("client %zu did not expect %.*s", client, STR_ARG(text));
}

/* ---- the end ---- */

/* Checks that a subscriber of a channel with history has been told the epoch in Redis, and is at its last event. */
static void check_position(size_t client, size_t channel, struct channel_view *view)
{
    struct str epoch;
    uint64_t offset;
    const char *name = sim_channels[channel].name;
    if (truth_head(channel, &epoch, &offset)) {
        skip_excluded(view, channel, offset + 1);
        if (!str_eq_cstr(epoch, view->epoch) || offset != view->offset)
            world_fail("client %zu on %s: is at '%s' %llu, and the channel at %.*s %llu", client, name, view->epoch,
                       (unsigned long long)view->offset, STR_ARG(epoch), (unsigned long long)offset);
    } else if (!truth_is_deleted(channel)) {
        world_fail("client %zu on %s: is at '%s' %llu, and the channel has no position", client, name, view->epoch,
                   (unsigned long long)view->offset);
    }
}

void channel_view_check(size_t client, size_t channel, struct channel_view *view, bool connected, bool turned)
{
    const char *name = sim_channels[channel].name;
    if (connected && view->state == VIEW_ASKED)
        world_fail("client %zu on %s: its subscribe was never answered", client, name);
    if (view->state != VIEW_IN)
        return;
    if (sim_channels[channel].history.size && (turned || !sim_channels[channel].turns)) {
        check_position(client, channel, view);
        return;
    }
    if (view->epoch[0])
        world_fail("client %zu on %s: is at '%s', and the rule has no history", client, name, view->epoch);
    check_seen(client, channel, view);
}
