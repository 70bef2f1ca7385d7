/* option_value.h - inside the engine: one value of one row, between the struct, text and JSON. */
#ifndef CARILLON_OPTIONS_OPTION_VALUE_H
#define CARILLON_OPTIONS_OPTION_VALUE_H

#include "common/json/json.h"
#include "common/options/option_table.h"

/* Numbers as text: INT, BYTES and DURATION. False if text is none. */
bool option_number_parse(enum option_type type, struct str text, uint64_t *out);
/* In the largest unit that is exact: "64k", "10s". */
void option_number_append(struct buf *out, enum option_type type, uint64_t value);
/* "a size from 1k to 16m such as \"64k\"": what the row takes, for messages and the reference. */
void option_expected(struct buf *out, const struct option_row *row);

/* The place that messages about a value point to. The line follows from a position in text. */
struct option_place {
    const char *name;                  /* file, variable or flag */
    struct str text;                   /* of the file; empty: no lines */
    const char *folder;                /* that relative paths start at; NULL: as they are */
    const char *path;                  /* "channels[2]." before the key; NULL: none */
    struct option_lines *lines;        /* take the lines of records and their members; NULL: nobody asks */
    const struct options_input *input; /* its presets go over what the place says; NULL: none do */
    struct buf *messages;
};
/* The line of a byte of place->text, from 1. */
unsigned option_line_at(const struct option_place *place, const char *at);
/* Appends "name:line: key: " and the text. key NULL: none; at NULL: no line. */
void option_complain(const struct option_place *place, const char *at, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Sets the row's member in the struct, and frees the value before. False: it has complained, and the member is as
 * before. at: the position for a complaint; NULL if place has no lines. */
bool option_set_text(const struct option_row *row, struct str text, const char *at, const struct option_place *place,
                     void *options);
bool option_set_json(const struct option_row *row, struct json_value value, const struct option_place *place,
                     void *options);
/* From the file that <key>_file names. at: where that name stands, for messages. */
bool option_set_from_file(const struct option_row *row, struct str file_name, const char *at,
                          const struct option_place *place, void *options);
/* Secrets and URLs: messages do not repeat them, and <key>_file can name a file with the value. */
bool option_is_secret(enum option_type type);
/* The bytes of a file of at most max bytes. */
enum err option_read_file(const char *path, size_t max, struct buf *out, struct error *error);

/* The same text without white space between its parts. The text has passed json_check. */
void option_append_compact(struct buf *out, struct str json);

/* All rows to their defaults; members are not freed before. Rows without a default become empty. */
void option_set_defaults(const struct option_table *table, void *options);

/* The members of an object into the rows. False: complained about at least one; the others are set. sources may be
 * NULL. The rows before first are not members: the name of a map's entry. */
bool option_set_object(const struct option_table *table, size_t first, struct json_value object,
                       const struct option_place *place, void *options, struct option_sources *sources);

/* The value as JSON on one line; masked: secrets as "***". */
void option_append_json(struct buf *out, const struct option_row *row, const void *options, bool masked);

/* The same for one entry of a list or map of records; of a map with its name. */
void option_append_entry(struct buf *out, const struct option_row *row, const void *options, size_t index, bool masked);

void option_free(const struct option_row *row, void *options);
size_t option_member_size(enum option_type type);

static inline void *option_member(const struct option_row *row, void *options)
{
    return (char *)options + row->offset;
}

static inline const void *option_member_const(const struct option_row *row, const void *options)
{
    return (const char *)options + row->offset;
}

/* Any list member: strings, numbers and records start with the same two. Read and written by memcpy, because each has a
 * pointer type of its own. */
struct option_list {
    void *items;
    size_t count;
};
_Static_assert(sizeof(struct option_list) == sizeof(struct option_strings), "lists are laid out alike");
_Static_assert(sizeof(struct option_list) == sizeof(struct option_numbers), "lists are laid out alike");

/* The group of a key: "limits" of "limits.connections", "tickets.request" of "tickets.request.purpose"; empty if it has
 * none. */
struct str option_group(const char *key);
/* The outermost group: "tickets" of "tickets.request.purpose". */
struct str option_section(const char *key);
/* Between two members of an object on one line: nothing behind '{' and behind a space. */
void option_append_comma(struct buf *out);
/* The groups that both are in: "tickets" for "tickets.request" and "tickets.answer". It is a part of b. */
struct str option_shared_group(struct str a, struct str b);
/* In a text of nested objects, from the group of one row to that of the next: ends the objects that are left, and
 * begins those that are entered. indent: a line for each, in that many spaces and four more a group; -1: all on one
 * line. */
void option_enter_group(struct buf *out, struct str from, struct str to, int indent);
/* How many objects a group is in the file: 2 of "tickets.request", 0 of none. */
size_t option_depth(struct str group);
/* The part of the key after its group. */
const char *option_name(const char *key);
/* "limits.message_bytes" as a flag without dashes in front, "limits-message-bytes", or as a variable without the
 * prefix, "LIMITS_MESSAGE_BYTES". */
void option_flag_name(struct buf *out, const char *key);
void option_env_name(struct buf *out, const char *key);
/* Can typed be name with a slip or two? */
bool option_is_near(struct str typed, struct str name);
/* The row whose key is most like this one; NULL if none is near. */
const struct option_row *option_nearest(const struct option_table *table, struct str key);

#endif
