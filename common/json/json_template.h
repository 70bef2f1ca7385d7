/* json_template.h - a JSON document with places in it that are filled anew each time, such as
 * {"headers":{"id":"{id}"},"error":"{code}: {message}"}. What comes out is always JSON. Pure, for any thread.
 *
 * A place is a name in braces, within a string. A string that is nothing but one place becomes the whole value. Within
 * a longer string the value's text is inserted. Names of members have no places. A place is found in the string as it
 * is written, so "\u007bid}" stands for {id} itself. */
#ifndef CARILLON_JSON_JSON_TEMPLATE_H
#define CARILLON_JSON_JSON_TEMPLATE_H

#include "common/json/json.h"

/* What goes into a place. */
struct json_filling {
    struct str text; /* UTF-8, escaped where it is inserted */
    bool json;       /* text is one value that json_check has passed. As a whole value it stays as it is; inserted, a
                        string is its text. Empty: null, and inserted nothing */
};

struct json_template;

/* names: those of the places, such as "code". The places of the template that have other names in lower case are an
 * error; other braces are only braces. The template must be JSON. On failure *out is NULL. */
enum err json_template_create(struct str text, const char *const *names, size_t count, struct json_template **out,
                              struct error *error);
/* NULL is fine. */
void json_template_free(struct json_template *template);

/* Whether this name has a place. */
bool json_template_has(const struct json_template *template, size_t name);

/* Appends the document, without space between its values. fillings: one for each name, in the order of names. */
void json_template_write(const struct json_template *template, const struct json_filling *fillings, struct buf *out);

#endif
