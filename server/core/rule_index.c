/* rule_index.c - see rule_index.h. The literal beginnings are sorted. Each beginning knows the longest other one that
 * it begins with itself. All beginnings of a name are on one such chain. The chain starts at the last beginning that is
 * not above the name. */
#include "server/core/rule_index.h"

#include "common/base/alloc.h"

/* A literal beginning, and the patterns that have it. */
struct beginning {
    struct str text;
    size_t parent; /* its number from 1; 0: none */
    const uint32_t *first, *end;
};

struct rule_index {
    struct beginning *beginnings;
    size_t count;
    uint32_t numbers[]; /* of the patterns, by their beginnings; then the beginnings themselves */
};

struct numbered_text {
    struct str text;
    uint32_t number;
};

static struct str beginning_of(struct str pattern)
{
    size_t len = 0;
    while (len < pattern.len && pattern.ptr[len] != '*' && pattern.ptr[len] != '{')
        len++;
    return str_from(pattern.ptr, len);
}

static int compare(const void *a, const void *b)
{
    const struct numbered_text *x = a, *y = b;
    int compared = str_compare(x->text, y->text);
    return compared ? compared : (x->number > y->number) - (x->number < y->number);
}

static size_t find_parent(const struct rule_index *index, struct str text)
{
    size_t at = index->count; /* the one before it in their order */
    while (at && !str_starts_with(text, index->beginnings[at - 1].text))
        at = index->beginnings[at - 1].parent;
    return at;
}

static void add(struct rule_index *index, const struct numbered_text *entry, uint32_t *place)
{
    struct beginning *last = index->count ? &index->beginnings[index->count - 1] : NULL;
    *place = entry->number;
    if (!last || !str_eq(last->text, entry->text)) {
        size_t parent = find_parent(index, entry->text);
        last = &index->beginnings[index->count++];
        *last = (struct beginning){.text = entry->text, .parent = parent, .first = place};
    }
    last->end = place + 1;
}

struct rule_index *rule_index_create(const struct str *patterns, size_t count)
{
    size_t numbers = (count + 1) / 2 * 2; /* so that what follows is aligned */
    struct rule_index *index =
        xmalloc(sizeof *index + numbers * sizeof *index->numbers + count * sizeof *index->beginnings);
    struct numbered_text *entries = xcalloc(count + 1, sizeof *entries);
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct numbered_text){beginning_of(patterns[i]), (uint32_t)i};
    qsort(entries, count, sizeof *entries, compare);
    index->count = 0;
    index->beginnings = (struct beginning *)(void *)(index->numbers + numbers);
    for (size_t i = 0; i < count; i++)
        add(index, &entries[i], &index->numbers[i]);
    free(entries);
    return index;
}

/* The last one that is not above the name, its number from 1; 0: none. */
static size_t find_last(const struct rule_index *index, struct str name)
{
    size_t from = 0, to = index->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (str_compare(index->beginnings[middle].text, name) <= 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

void rule_walk_begin(struct rule_walk *walk, const struct rule_index *index, struct str name)
{
    size_t at = find_last(index, name);
    while (at && !str_starts_with(name, index->beginnings[at - 1].text))
        at = index->beginnings[at - 1].parent;
    walk->count = 0;
    for (; at; at = index->beginnings[at - 1].parent) {
        const struct beginning *beginning = &index->beginnings[at - 1];
        walk->parts[walk->count].next = beginning->first;
        walk->parts[walk->count++].end = beginning->end;
    }
}

bool rule_walk_next(struct rule_walk *walk, size_t *out_number)
{
    size_t least = SIZE_MAX, from = 0;
    for (size_t i = 0; i < walk->count; i++) {
        if (walk->parts[i].next < walk->parts[i].end && *walk->parts[i].next < least) {
            least = *walk->parts[i].next;
            from = i;
        }
    }
    if (least == SIZE_MAX)
        return false;
    walk->parts[from].next++;
    *out_number = least;
    return true;
}
