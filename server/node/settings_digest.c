/* settings_digest.c - see settings_digest.h. */
#include "server/node/settings_digest.h"

enum { TOLD_MAX = 3, SHOWN_MAX = 120 };

void settings_digest_add(struct buf *digest, struct str name, struct str value)
{
    buf_append(digest, name);
    buf_append_char(digest, ' ');
    for (size_t i = 0; i < value.len; i++)
        buf_append_char(digest, (unsigned char)value.ptr[i] < ' ' ? '?' : value.ptr[i]);
    buf_append_char(digest, '\n');
}

/* Returns the value of the name; ptr is NULL if the digest has no such name. */
static struct str find(struct str digest, struct str name)
{
    while (digest.ptr) {
        struct str line = str_split(&digest, '\n');
        if (str_eq(str_split(&line, ' '), name))
            return line;
    }
    return (struct str){0};
}

/* The text comes from another node and goes into a log: it is made printable, and cut. */
static void append_shown(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len && i < SHOWN_MAX; i++)
        buf_append_char(out, text.ptr[i] < ' ' || text.ptr[i] > '~' || text.ptr[i] == '"' ? '?' : text.ptr[i]);
    if (text.len > SHOWN_MAX)
        buf_append_lit(out, "...");
}

static void append_value(struct buf *out, struct str value)
{
    if (!value.ptr) {
        buf_append_lit(out, "not set");
        return;
    }
    buf_append_char(out, '"');
    append_shown(out, value);
    buf_append_char(out, '"');
}

static void tell(struct buf *out, size_t told, struct str name, struct str ours, struct str theirs)
{
    if (told >= TOLD_MAX)
        return;
    if (told)
        buf_append_lit(out, "; ");
    append_shown(out, name);
    buf_append_lit(out, " is ");
    append_value(out, ours);
    buf_append_lit(out, " here and ");
    append_value(out, theirs);
    buf_append_lit(out, " there");
}

size_t settings_digest_compare(struct str ours, struct str theirs, struct buf *out)
{
    size_t count = 0;
    for (struct str rest = ours; rest.ptr;) {
        struct str line = str_split(&rest, '\n');
        struct str name = str_split(&line, ' ');
        struct str other = find(theirs, name);
        if (name.len && !(other.ptr && str_eq(line, other)))
            tell(out, count++, name, line, other);
    }
    for (struct str rest = theirs; rest.ptr;) {
        struct str line = str_split(&rest, '\n');
        struct str name = str_split(&line, ' ');
        if (name.len && line.ptr && !find(ours, name).ptr)
            tell(out, count++, name, (struct str){0}, line);
    }
    if (count > TOLD_MAX)
        buf_appendf(out, "; and %zu more", count - TOLD_MAX);
    return count;
}
