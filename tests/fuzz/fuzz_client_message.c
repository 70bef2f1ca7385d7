/* fuzz_client_message.c - a client's message, through all code that looks at it before it has an effect. */
#include <stdlib.h>

#include "common/json/json.h"
#include "common/protocol/channel_name.h"
#include "server/dialect/carillon.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void must_be_one_frame(struct buf *frame)
{
    struct json_value value;
    must(json_check(buf_str(frame), &(struct json_limits){.depth = EVENT_DEPTH_MAX + 1}, &value, NULL) == ERR_NONE);
    must(value.type == JSON_OBJECT && value.raw.len == frame->len);
    buf_clear(frame);
}

static void publish(const struct command *command, struct buf *frame)
{
    const struct event_offer offer = {.type = command->event_type,
                                      .data = command->data,
                                      .event_id = command->event_id,
                                      .has_event_id = command->has_event_id};
    if (event_offer_check(&offer, &(struct event_limits){.data_bytes = SIZE_MAX, .custom = true}, NULL) != ERR_NONE)
        return;
    struct event event = {.channel = command->channel,
                          .type = command->event_type,
                          .id = command->event_id,
                          .offset = 1,
                          .timestamp = STR("2026-01-15T10:30:00.000Z"),
                          .data = command->data.raw};
    carillon_dialect.event(frame, &event);
    must_be_one_frame(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct buf scratch = {0}, frame = {0};
    struct command command;
    struct error error = {0};
    enum err err = carillon_dialect.parse(str_from((const char *)bytes, len), &command, &scratch, &error);
    if (!err && command.channel.len)
        err = channel_name_check(command.channel, &error);
    if (!err && command.event_id.len)
        err = event_id_check(command.event_id, &error);
    if (err) {
        must(err == error.code && str_is_utf8(str_from_cstr(error.text)));
        const struct reply reply = {.type = REPLY_ERROR,
                                    .id = command.id,
                                    .channel = command.channel,
                                    .error = {err, str_from_cstr(error.text)}};
        carillon_dialect.reply(&frame, &reply);
        must_be_one_frame(&frame);
    } else {
        const struct reply reply = {.type = REPLY_SUBSCRIBED,
                                    .id = command.id,
                                    .channel = command.channel,
                                    .subscribed = {command.since, true}};
        carillon_dialect.reply(&frame, &reply);
        must_be_one_frame(&frame);
        if (command.type == COMMAND_PUBLISH)
            publish(&command, &frame);
    }
    pattern_matches(command.channel, STR("conversation:conv-123"), NULL, NULL);
    pattern_matches(STR("*a*{x}:*"), command.channel, NULL, NULL);
    buf_fini(&frame);
    buf_fini(&scratch);
    return 0;
}
