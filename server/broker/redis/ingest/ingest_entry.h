/* ingest_entry.h - one entry of the ingest stream: XADD carillon:ingest * channel C type T data JSON [event_id ID]. It
 * is judged as a publish of the HTTP API is. Pure; any thread. */
#ifndef CARILLON_BROKER_REDIS_INGEST_INGEST_ENTRY_H
#define CARILLON_BROKER_REDIS_INGEST_INGEST_ENTRY_H

#include "server/core/access.h"

struct ingest_settings {
    struct rules *rules; /* how channels are kept; a backend may publish to any */
    size_t event_bytes;  /* the most that an event's data may have */
    bool custom_events;
};

/* Names and values in turn, as the backend wrote them, with the stream's id of the entry. Owned: one allocation. */
struct ingest_entry {
    struct str id;
    size_t field_count; /* names and values */
    struct str fields[];
};

/* Copies the texts. Freed by free(). */
struct ingest_entry *ingest_entry_create(struct str id, const struct str *fields, size_t field_count);

/* The event it asks for, or what is wrong with it. Without an event_id of its own it has one made of the entry's id, so
 * that publishing the entry again is no second event. Freed by publication_destroy(). */
enum err ingest_entry_read(const struct ingest_entry *entry, const struct ingest_settings *settings,
                           struct publication **out, struct error *error);

#endif
