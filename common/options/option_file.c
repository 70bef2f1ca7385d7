/* option_file.c - reads a file of JSON with comments into the struct. Spaces overwrite comments, and commas after a
 * last item. So every byte keeps its place, and positions give line numbers. */
#include "common/options/option_file.h"

#include <stdio.h>

#include "common/base/alloc.h"

/* Overwrites with spaces up to end, keeping the ends of lines. */
static void blank(char *from, const char *end)
{
    for (; from < end; from++)
        if (*from != '\n')
            *from = ' ';
}

static char *string_end(char *at, const char *end)
{
    for (at++; at < end && *at != '"' && *at != '\n'; at++)
        if (*at == '\\' && at + 1 < end)
            at++;
    return at < end ? at + 1 : at;
}

/* The end of the comment that starts at at; NULL if it has none. */
static char *comment_end(char *at, char *end)
{
    if (at[1] == '/') {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        return newline ? newline : end;
    }
    for (char *c = at + 2; c + 1 < end; c++)
        if (c[0] == '*' && c[1] == '/')
            return c + 2;
    return NULL;
}

/* Makes plain JSON of the text, in place. NULL, or where a comment begins that does not end. */
static const char *strip(char *text, size_t len)
{
    char *end = text + len;
    char *comma = NULL; /* the last thing seen was this comma, after an item */
    char before = '[';  /* the last byte that means something, commas apart */
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        blank(text, text + 3);
    for (char *at = text; at < end;) {
        char c = *at;
        if (c == '/' && at + 1 < end && (at[1] == '/' || at[1] == '*')) {
            char *after = comment_end(at, end);
            if (!after)
                return at;
            blank(at, after);
            at = after;
        } else if (c == '"') {
            at = string_end(at, end);
            before = c;
            comma = NULL;
        } else {
            if (c == ',') {
                comma = !comma && !strchr("[{:", before) ? at : NULL;
                before = comma ? before : ':'; /* a comma in a wrong place stays, and is refused */
            } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
                if (comma && (c == ']' || c == '}'))
                    *comma = ' ';
                before = c ? c : ':';
                comma = NULL;
            }
            at++;
        }
    }
    return NULL;
}

/* json_check names a byte; people want the line. */
static void complain_syntax(const struct option_place *place, const struct error *error)
{
    size_t offset = 0;
    int used = 0;
    if (sscanf(error->text, "byte %zu: %n", &offset, &used) != 1 || used == 0 || offset > place->text.len)
        option_complain(place, NULL, NULL, "%s", error->text);
    else
        option_complain(place, place->text.ptr + offset, NULL, "%s", error->text + used);
}

bool option_set_file(const struct option_table *table, const char *name, struct str text,
                     const struct options_input *input, void *options, struct option_sources *sources,
                     struct buf *messages)
{
    char *plain = str_dup(text);
    char *folder = xstrdup(name);
    char *slash = strrchr(folder, '/');
    struct option_place place = {.name = name, .text = str_from(plain, text.len), .messages = messages};
    place.lines = &sources->lines;
    place.input = input;
    struct json_value value;
    struct error error;
    bool good = false;
    if (slash) {
        slash[slash == folder] = '\0'; /* "/x" is in "/" */
        place.folder = folder;
    }
    const char *open = strip(plain, text.len);
    if (open)
        option_complain(&place, open, NULL, "this comment has no end");
    else if (json_check(place.text, NULL, &value, &error) != ERR_NONE)
        complain_syntax(&place, &error);
    else if (value.type != JSON_OBJECT)
        option_complain(&place, value.raw.ptr, NULL, "a configuration is one object: { ... }");
    else
        good = option_set_object(table, 0, value, &place, options, sources);
    free(folder);
    free(plain);
    return good;
}
