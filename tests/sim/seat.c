/* seat.c - see seat.h. */
#include "tests/sim/seat.h"

#include <stdio.h>

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
};

static bool excused;

/* ---- commands ---- */

void asked_add(struct asked *all, uint64_t id, enum asked_kind kind, uint64_t number)
{
    if (kind == ASKED_PUBLISH)
        truth_attempt(number);
    for (size_t i = 0; i < ASKED_MAX; i++)
        if (all[i].kind == ASKED_NOTHING) {
            all[i] = (struct asked){kind, id, number};
            return;
        }
    if (kind == ASKED_PUBLISH)
        truth_unknown(number);
}

void asked_forget(struct asked *all)
{
    for (size_t i = 0; i < ASKED_MAX; i++) {
        if (all[i].kind == ASKED_PUBLISH)
            truth_unknown(all[i].number);
        all[i].kind = ASKED_NOTHING;
    }
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
    return (struct asked){ASKED_NOTHING, 0, 0};
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

static void set_position(struct seat *seat, struct str epoch, uint64_t offset)
{
    snprintf(seat->epoch, sizeof seat->epoch, "%.*s", STR_ARG(epoch));
    seat->offset = offset;
}

static void wrong(const struct heard *heard, const struct seat *seat, const char *what)
{
    world_fail("client %zu on %.*s, at %s %llu: %s: %.*s", heard->client, STR_ARG(heard->channel_name), seat->epoch,
               (unsigned long long)seat->offset, what, STR_ARG(heard->text));
}

void seat_ask(struct seat *seat)
{
    if (seat->state == SEAT_OUT)
        seat->state = SEAT_ASKED;
}

void seat_leave(struct seat *seat)
{
    seat->state = SEAT_OUT;
}

void seat_excuse(bool excuse)
{
    excused = excuse;
}

/* ---- what is heard ---- */

static void hear_subscribed(const struct heard *heard, struct seat *seat)
{
    struct str epoch = text_of(heard->data, "epoch");
    uint64_t offset = number_of(heard->data, "offset");
    if (seat->state == SEAT_IN && !excused &&
        (!str_eq_cstr(epoch, seat->epoch) || (seat->epoch[0] && offset != seat->offset)))
        wrong(heard, seat, "the position of a subscription has moved by itself");
    seat->state = SEAT_IN;
    set_position(seat, epoch, offset);
}

static void hear_event(const struct heard *heard, struct seat *seat)
{
    uint64_t number = number_of(heard->data, "n");
    uint64_t offset = 0;
    if (heard->offset.type)
        json_u64(heard->offset, &offset);
    if (seat->state != SEAT_IN) {
        wrong(heard, seat, "an event without a subscription");
        return;
    }
    if (!sim_channels[heard->channel].history.size) {
        if (!truth_was_ordered(number))
            wrong(heard, seat, "an event that nobody has published");
        return;
    }
    if (excused) {
        seat->offset = offset;
        return;
    }
    if (offset != seat->offset + 1)
        wrong(heard, seat, offset <= seat->offset ? "an event comes again" : "an event is missing before this one");
    else if (!truth_has(heard->channel, str_from_cstr(seat->epoch), offset, number))
        wrong(heard, seat, "not the event of that position");
    seat->offset = offset;
}

static void hear_gap(const struct heard *heard, struct seat *seat)
{
    if (seat->state != SEAT_IN)
        wrong(heard, seat, "a gap without a subscription");
    set_position(seat, text_of(heard->data, "epoch"), number_of(heard->data, "offset"));
}

static void hear_published(const struct heard *heard, struct asked asked)
{
    struct json_value duplicate = json_member(heard->data, STR("duplicate"));
    if (asked.kind == ASKED_PUBLISH)
        truth_acknowledged(asked.number, text_of(heard->data, "id"), text_of(heard->data, "epoch"),
                           number_of(heard->data, "offset"), duplicate.type && str_eq_cstr(duplicate.raw, "true"));
}

static void hear_error(const struct heard *heard, struct seat *seats, struct asked asked)
{
    struct str message = json_member(heard->error, STR("message")).raw;
    if (asked.kind == ASKED_SUBSCRIBE && seats[asked.number].state == SEAT_ASKED)
        seats[asked.number].state = SEAT_OUT;
    if (asked.kind != ASKED_PUBLISH)
        return;
    if (memmem(message.ptr, message.len, "may or may not", 14))
        truth_unknown(asked.number);
    else
        truth_refused(asked.number);
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
    out->text = text;
    out->channel = sim_channel_find(out->channel_name);
    return true;
}

void seat_take(size_t client, struct seat *seats, struct asked *all, struct str text)
{
    struct heard heard = {.client = client, .channel_name = STR("")};
    world_trace("client %zu hears %.*s", client, STR_ARG(text));
    if (!read_heard(text, &heard)) {
        world_fail("client %zu does not understand %.*s", client, STR_ARG(text));
        return;
    }
    bool is_event = str_eq_cstr(heard.type, "note");
    struct asked asked = is_event ? (struct asked){ASKED_NOTHING, 0, 0} : take_asked(all, heard.id);
    struct seat *seat = heard.channel < sim_channel_count ? &seats[heard.channel] : NULL;
    if (is_event && seat)
        hear_event(&heard, seat);
    else if (str_eq_cstr(heard.type, "subscribed") && seat)
        hear_subscribed(&heard, seat);
    else if (str_eq_cstr(heard.type, "unsubscribed") && seat)
        seat->state = SEAT_OUT;
    else if (str_eq_cstr(heard.type, "gap") && seat)
        hear_gap(&heard, seat);
    else if (str_eq_cstr(heard.type, "published"))
        hear_published(&heard, asked);
    else if (str_eq_cstr(heard.type, "error"))
        hear_error(&heard, seats, asked);
    else if (!str_eq_cstr(heard.type, "session_init"))
        world_fail("client %zu did not expect %.*s", client, STR_ARG(text));
}

/* ---- the end ---- */

void seat_check(size_t client, size_t channel, const struct seat *seat, bool connected)
{
    struct str epoch;
    uint64_t offset;
    const char *name = sim_channels[channel].name;
    if (connected && seat->state == SEAT_ASKED)
        world_fail("client %zu on %s: its subscribe was never answered", client, name);
    if (seat->state != SEAT_IN || !sim_channels[channel].history.size || excused)
        return;
    if (!truth_head(channel, &epoch, &offset))
        world_fail("client %zu on %s: is at %s %llu, and the channel has no position", client, name, seat->epoch,
                   (unsigned long long)seat->offset);
    else if (!str_eq_cstr(epoch, seat->epoch) || offset != seat->offset)
        world_fail("client %zu on %s: is at %s %llu, and the channel at %.*s %llu", client, name, seat->epoch,
                   (unsigned long long)seat->offset, STR_ARG(epoch), (unsigned long long)offset);
}
