/* ingest_entry.c - see ingest_entry.h. */
#include "server/broker/redis/ingest/ingest_entry.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/json/json.h"

struct ingest_entry *ingest_entry_create(struct str id, const struct str *fields, size_t field_count)
{
    size_t len = id.len;
    for (size_t i = 0; i < field_count; i++)
        len += fields[i].len;
    struct ingest_entry *entry = xmalloc(sizeof *entry + field_count * sizeof *fields + len);
    char *at = (char *)&entry->fields[field_count];
    entry->id = str_pack(&at, id);
    entry->field_count = field_count;
    for (size_t i = 0; i < field_count; i++)
        entry->fields[i] = str_pack(&at, fields[i]);
    return entry;
}

static enum err take_members(const struct ingest_entry *entry, struct event_offer *out, struct error *error)
{
    static const char *const names[] = {"channel", "type", "data", "event_id", "exclude_session"};
    struct str *const places[] = {&out->channel, &out->type, &out->data.raw, &out->event_id, &out->exclude};
    enum { NAMES = sizeof names / sizeof *names };
    char quoted[ERROR_QUOTE_LEN];
    for (size_t i = 0; i + 1 < entry->field_count; i += 2) {
        size_t known = 0;
        while (known < NAMES && !str_eq_cstr(entry->fields[i], names[known]))
            known++;
        if (known == NAMES)
            return error_set(error, ERR_INVALID_REQUEST,
                             "unknown field %s; expected channel, type, data, event_id, exclude_session",
                             error_quote(entry->fields[i], quoted));
        if (places[known]->ptr)
            return error_set(error, ERR_INVALID_REQUEST, "%s: given twice", names[known]);
        *places[known] = entry->fields[i + 1];
    }
    for (size_t i = 0; i < 3; i++)
        if (!places[i]->ptr)
            return error_set(error, ERR_INVALID_REQUEST, "%s: missing", names[i]);
    out->has_event_id = out->event_id.ptr != NULL;
    return ERR_NONE;
}

static enum err read_data(struct json_value *data, struct error *error)
{
    struct error why;
    const struct json_limits limits = {.depth = JSON_DEPTH_MAX, .values = data->raw.len + 1};
    if (json_check(data->raw, &limits, data, &why))
        return error_set(error, ERR_INVALID_REQUEST, "data: %s", why.text);
    return ERR_NONE;
}

enum err ingest_entry_read(const struct ingest_entry *entry, const struct ingest_settings *settings,
                           struct publication **out, struct error *error)
{
    struct event_offer offer = {0};
    const struct event_limits limits = {settings->event_bytes, settings->custom_events};
    char id[EVENT_ID_MAX];
    enum err err = take_members(entry, &offer, error);
    if (!err)
        err = read_data(&offer.data, error);
    if (!err)
        err = channel_check(offer.channel, error);
    if (!err)
        err = event_offer_check(&offer, &limits, error);
    if (err)
        return err;
    if (!offer.has_event_id) {
        int len = snprintf(id, sizeof id, "ingest:%.*s", STR_ARG(entry->id));
        offer.event_id = str_from(id, (size_t)len);
    }
    *out = publication_create(&offer, STR(""));
    (*out)->history = rules_keeping(settings->rules, offer.channel).history;
    return ERR_NONE;
}
