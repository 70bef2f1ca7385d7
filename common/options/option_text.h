/* option_text.h - inside the engine: a member of the struct from plain text, and what JSON needs of the same checks. */
#ifndef CARILLON_OPTIONS_OPTION_TEXT_H
#define CARILLON_OPTIONS_OPTION_TEXT_H

#include "common/options/option_value.h"

/* As option_set_text, but lists are items between commas, and of NUMBERS, RECORDS and MAP only the empty one has a
 * text. JSON has been checked. */
bool option_set_plain(const struct option_row *row, struct str text, const char *at, const struct option_place *place,
                      void *options);
/* A list of the items between separators. Spaces around items and empty items do not count. */
bool option_set_split(const struct option_row *row, struct str text, char separator, const char *at,
                      const struct option_place *place, void *options);
/* Can the row be without a value? JSON can, and a number whose default is "". */
bool option_is_optional(const struct option_row *row);
/* Sets the row's number. False: it is out of range, and nothing has been said. */
bool option_set_number(const struct option_row *row, uint64_t number, void *options);
/* Puts a list in place of the row's list; the items belong to the struct from now on. */
void option_put_list(const struct option_row *row, void *items, size_t count, void *options);

/* Is number between the row's min and max? Those are written as values of type. */
bool option_in_range(const struct option_row *row, enum option_type type, uint64_t number);
/* One text, as a value or as an item of a list. False: it has complained. A single value can be empty: "not set". */
bool option_text_is_valid(const struct option_row *row, struct str text, const char *at,
                          const struct option_place *place);
/* Complains "found X, expected Y". Returns false. */
bool option_refuse(const struct option_row *row, const struct option_place *place, const char *at, const char *found);

void option_add_string(struct option_strings *list, struct str text);
void option_free_strings(struct option_strings *list);

#endif
