/* option_value.c - numbers with units, the values that a row takes, and the spellings of its key. */
#include "common/options/option_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* Smallest first; the first one is also the one for no suffix. */
static const struct unit byte_units[] = {{"", 1}, {"k", 1024}, {"m", 1024 * 1024}, {"g", 1024 * 1024 * 1024}, {0}};
static const struct unit time_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {0}};
static const struct unit plain_units[] = {{"", 1}, {0}};

static const struct unit *units_of(enum option_type type)
{
    return type == OPTION_BYTES ? byte_units : type == OPTION_DURATION ? time_units : plain_units;
}

bool option_number_parse(enum option_type type, struct str text, uint64_t *out)
{
    size_t digits = 0;
    uint64_t value = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (!str_to_u64(str_from(text.ptr, digits), &value))
        return false;
    struct str suffix = str_skip(text, digits);
    if (type == OPTION_DURATION && suffix.len == 0 && value == 0) {
        *out = 0;
        return true;
    }
    for (const struct unit *unit = units_of(type); unit->suffix; unit++) {
        if (!str_eq_nocase(suffix, str_from_cstr(unit->suffix)))
            continue;
        if (value > UINT64_MAX / unit->factor)
            return false;
        *out = value * unit->factor;
        return true;
    }
    return false;
}

void option_number_append(struct buf *out, enum option_type type, uint64_t value)
{
    const struct unit *best = units_of(type);
    if (value == 0 && type == OPTION_DURATION)
        best = &time_units[1];
    for (const struct unit *unit = best; value > 0 && unit->suffix; unit++)
        if (value % unit->factor == 0)
            best = unit;
    buf_append_u64(out, value / best->factor);
    buf_append(out, str_from_cstr(best->suffix));
}

static void append_range(struct buf *out, const struct option_row *row, const char *unit)
{
    if (row->min && row->max)
        buf_appendf(out, " from %s to %s%s", row->min, row->max, unit);
    else if (row->min)
        buf_appendf(out, " of at least %s%s", row->min, unit);
    else if (row->max)
        buf_appendf(out, " of at most %s%s", row->max, unit);
}

static void append_choices(struct buf *out, const struct option_row *row)
{
    for (size_t i = 0; row->choices[i]; i++)
        buf_appendf(out, "%s%s", i ? ", " : "", row->choices[i]);
}

void option_expected(struct buf *out, const struct option_row *row)
{
    static const char *const kinds[] = {[OPTION_BOOL] = "true or false",
                                        [OPTION_INT] = "a whole number",
                                        [OPTION_BYTES] = "a size",
                                        [OPTION_DURATION] = "a duration",
                                        [OPTION_STRING] = "a text",
                                        [OPTION_PATH] = "a file name",
                                        [OPTION_URL] = "a URL",
                                        [OPTION_SECRET] = "a secret",
                                        [OPTION_ENUM] = "one of ",
                                        [OPTION_STRINGS] = "a list of texts",
                                        [OPTION_SECRETS] = "a list of secrets",
                                        [OPTION_NUMBERS] = "an object of numbers",
                                        [OPTION_JSON] = "any JSON",
                                        [OPTION_RECORDS] = "a list of objects",
                                        [OPTION_MAP] = "an object of objects"};
    bool text = row->type >= OPTION_STRING;
    buf_append(out, str_from_cstr(kinds[row->type]));
    if (row->type == OPTION_ENUM) {
        append_choices(out, row);
        return;
    }
    if (row->choices) {
        buf_append_lit(out, " out of ");
        append_choices(out, row);
    }
    append_range(out, row, text && row->type != OPTION_NUMBERS ? " bytes" : "");
    if (row->type == OPTION_BYTES)
        buf_append_lit(out, " such as \"64k\"");
    else if (row->type == OPTION_DURATION)
        buf_append_lit(out, " such as \"250ms\" or \"10s\"");
}

bool option_is_secret(enum option_type type)
{
    return type == OPTION_SECRET || type == OPTION_SECRETS || type == OPTION_URL;
}

struct str option_group(const char *key)
{
    const char *dot = strrchr(key, '.');
    return str_from(key, dot ? (size_t)(dot - key) : 0);
}

struct str option_section(const char *key)
{
    const char *dot = strchr(key, '.');
    return str_from(key, dot ? (size_t)(dot - key) : 0);
}

size_t option_depth(struct str group)
{
    size_t depth = group.len > 0;
    for (size_t i = 0; i < group.len; i++)
        depth += group.ptr[i] == '.';
    return depth;
}

/* The part of a group's path up to and with the part that begins at `from`: "a.b" of "a.b.c" from 2. */
static struct str group_until(struct str group, size_t from)
{
    while (from < group.len && group.ptr[from] != '.')
        from++;
    return str_from(group.ptr, from);
}

void option_append_comma(struct buf *out)
{
    if (out->len > 0 && !strchr("{ ", out->ptr[out->len - 1]))
        buf_append_lit(out, ", ");
}

struct str option_shared_group(struct str a, struct str b)
{
    struct str shared = str_from(b.ptr, 0);
    while (shared.len < b.len) {
        struct str longer = group_until(b, shared.len + (shared.len > 0));
        if (!str_starts_with(a, longer) || (a.len > longer.len && a.ptr[longer.len] != '.'))
            break;
        shared = longer;
    }
    return shared;
}

void option_enter_group(struct buf *out, struct str from, struct str to, int indent)
{
    struct str shared = option_shared_group(from, to);
    size_t kept = option_depth(shared);
    for (size_t depth = option_depth(from); depth > kept; depth--) {
        if (indent >= 0)
            buf_appendf(out, "%*s},\n", indent + 4 * (int)(depth - 1), "");
        else
            buf_append_char(out, '}');
    }
    for (size_t depth = kept; shared.len < to.len; depth++) {
        size_t start = shared.len + (shared.len > 0);
        shared = group_until(to, start);
        if (indent >= 0) {
            buf_appendf(out, "%*s\"%.*s\": {\n", indent + 4 * (int)depth, "", STR_ARG(str_skip(shared, start)));
        } else {
            option_append_comma(out);
            buf_appendf(out, "\"%.*s\": {", STR_ARG(str_skip(shared, start)));
        }
    }
}

const char *option_name(const char *key)
{
    const char *dot = strrchr(key, '.');
    return dot ? dot + 1 : key;
}

void option_flag_name(struct buf *out, const char *key)
{
    for (; *key; key++)
        buf_append_char(out, *key == '.' || *key == '_' ? '-' : *key);
}

void option_env_name(struct buf *out, const char *key)
{
    for (; *key; key++)
        buf_append_char(out, *key == '.' ? '_' : (char)toupper((unsigned char)*key));
}

/* The signs between words are alike, so that a flag is near its key. */
static char word_char(char c)
{
    return c == '.' || c == '_' ? '-' : c;
}

/* Levenshtein distance of short names, with one row of the matrix kept. */
static size_t distance(struct str a, struct str b)
{
    size_t row[65];
    if (a.len > 64 || b.len > 64)
        return 64;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = diagonal + (word_char(a.ptr[i - 1]) != word_char(b.ptr[j - 1]));
            size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = change < least ? change : least;
        }
    }
    return row[b.len];
}

/* A third of what was typed may be wrong. */
static size_t distance_allowed(struct str typed)
{
    return typed.len / 3 + 1;
}

bool option_is_near(struct str typed, struct str name)
{
    return distance(typed, name) <= distance_allowed(typed);
}

const struct option_row *option_nearest(const struct option_table *table, struct str key)
{
    const struct option_row *best = NULL;
    size_t least = distance_allowed(key);
    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        size_t whole = distance(key, str_from_cstr(row->key));
        if (whole <= least) {
            least = whole > 0 ? whole - 1 : 0;
            best = row;
        }
    }
    for (size_t i = 0; !best && i < table->count; i++)
        if (str_eq_cstr(key, option_name(table->rows[i].key)))
            best = &table->rows[i]; /* right name, group forgotten */
    return best;
}

unsigned option_line_at(const struct option_place *place, const char *at)
{
    unsigned line = 1;
    for (const char *c = place->text.ptr; c < at; c++)
        line += *c == '\n';
    return line;
}

void option_complain(const struct option_place *place, const char *at, const char *key, const char *format, ...)
{
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_append(place->messages, str_from_cstr(place->name));
    if (at && place->text.len > 0)
        buf_appendf(place->messages, ":%u", option_line_at(place, at));
    buf_append_lit(place->messages, ": ");
    if (key)
        buf_appendf(place->messages, "%s%s: ", place->path ? place->path : "", key);
    buf_appendf(place->messages, "%s\n", text);
}

enum err option_read_file(const char *path, size_t max, struct buf *out, struct error *error)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_set(error, ERR_NOT_FOUND, "cannot read %s: %s", path, strerror(errno));
    size_t got = 1;
    errno = 0;
    while (got > 0 && out->len <= max) {
        buf_reserve(out, 4096);
        got = fread(out->ptr + out->len, 1, 4096, file);
        out->len += got;
    }
    bool failed = ferror(file) != 0;
    int reason = errno;
    fclose(file);
    if (failed)
        return error_set(error, ERR_NOT_FOUND, "cannot read %s: %s", path, strerror(reason));
    if (out->len > max)
        return error_set(error, ERR_TOO_LARGE, "%s has more than %zu bytes", path, max);
    return ERR_NONE;
}
