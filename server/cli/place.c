/* place.c - see place.h. */
#include "server/cli/place.h"

static void keep_text(struct buf *kept, struct json_value string)
{
    struct buf scratch = {0};
    struct str text;
    buf_clear(kept);
    if (json_text(string, &scratch, &text))
        buf_append(kept, text);
    buf_fini(&scratch);
}

void place_set(struct place *place, struct json_value told)
{
    place->is_known = told.type == JSON_OBJECT && json_u64(json_member(told, STR("offset")), &place->offset);
    if (!place->is_known)
        return;
    keep_text(&place->epoch, json_member(told, STR("epoch")));
    keep_text(&place->id, json_member(told, STR("id")));
    place->is_known = place->epoch.len > 0;
}

void place_advance(struct place *place, struct json_value event)
{
    if (place->is_known && json_u64(json_member(event, STR("offset")), &place->offset))
        keep_text(&place->id, json_member(event, STR("id")));
}

void place_append(const struct place *place, struct buf *out)
{
    buf_append_lit(out, "{\"epoch\":");
    json_append_string(out, buf_str(&place->epoch));
    buf_appendf(out, ",\"offset\":%llu", (unsigned long long)place->offset);
    if (place->id.len) {
        buf_append_lit(out, ",\"id\":");
        json_append_string(out, buf_str(&place->id));
    }
    buf_append_char(out, '}');
}

void place_fini(struct place *place)
{
    buf_fini(&place->epoch);
    buf_fini(&place->id);
}
