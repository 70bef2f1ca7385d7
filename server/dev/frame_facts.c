/* frame_facts.c - see frame_facts.h. */
#include "server/dev/frame_facts.h"

static void read_text(struct frame_facts *facts, struct json_value value, struct str *out)
{
    if (value.type == JSON_STRING)
        json_text(value, &facts->scratch, out);
}

void frame_facts_read(struct frame_facts *facts, struct str message)
{
    const struct json_limits limits = {.depth = JSON_DEPTH_MAX, .values = message.len + 1};
    struct json_value object, channel;
    *facts = (struct frame_facts){0};
    if (json_check(message, &limits, &object, NULL) != ERR_NONE || object.type != JSON_OBJECT)
        return;
    buf_reserve(&facts->scratch, message.len); /* so that no text in it moves */
    facts->data = json_member(object, STR("data"));
    facts->id = json_member(object, STR("id")).raw;
    read_text(facts, json_member(object, STR("type")), &facts->type);
    channel = json_member(object, STR("channel"));
    read_text(facts, channel.type ? channel : json_member(facts->data, STR("channel")), &facts->channel);
}

void frame_facts_fini(struct frame_facts *facts)
{
    buf_fini(&facts->scratch);
}
