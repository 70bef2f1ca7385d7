/* ingest_entry.h - one entry of the ingest stream: XADD carillon:ingest * channel C type T data JSON [event_id ID]. The
 * same rules hold as for a publish of the HTTP API. Pure, for any thread. */
#ifndef CARILLON_BROKER_REDIS_INGEST_INGEST_ENTRY_H
#define CARILLON_BROKER_REDIS_INGEST_INGEST_ENTRY_H

#include "server/core/access.h"

struct ingest_settings {
    struct rules *rules; /* for the history of channels; a backend may publish to any channel */
    size_t event_bytes;  /* the largest data of an event */
    bool custom_events;
};

/* The entry's id in the stream, and its fields as the backend wrote them: name, value, name, value. One allocation. */
struct ingest_entry {
    struct str id;
    size_t field_count; /* names and values together */
    struct str fields[];
};

/* Copies the texts. Freed by free(). */
struct ingest_entry *ingest_entry_create(struct str id, const struct str *fields, size_t field_count);

/* The publication that the entry asks for, or the reason why the entry is refused. An entry without an event_id gets
 * one that is made of its id. So publishing the entry twice makes one event. Freed by request_destroy(). */
enum err ingest_entry_read(const struct ingest_entry *entry, const struct ingest_settings *settings,
                           struct publication **out, struct error *error);

#endif
