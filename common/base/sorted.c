/* sorted.c - see sorted.h. */
#include "common/base/sorted.h"

#include "common/base/random.h"

void sorted_init(struct sorted *sorted, struct str (*name)(struct sorted_link *link))
{
    *sorted = (struct sorted){.name = name};
    random_bytes(&sorted->random, sizeof sorted->random);
    sorted->random |= 1;
}

/* xorshift64*: balance is all that hangs on it, and nobody sees it. Never 0. */
static uint32_t draw(struct sorted *sorted)
{
    sorted->random ^= sorted->random >> 12;
    sorted->random ^= sorted->random << 25;
    sorted->random ^= sorted->random >> 27;
    return (uint32_t)(sorted->random * UINT64_C(2685821657736338717) >> 32) | 1;
}

/* Where the link hangs. */
static struct sorted_link **place_of(struct sorted *sorted, const struct sorted_link *link)
{
    if (!link->up)
        return &sorted->root;
    return link->up->left == link ? &link->up->left : &link->up->right;
}

/* The link changes places with the one above it. */
static void rise(struct sorted *sorted, struct sorted_link *link)
{
    struct sorted_link *down = link->up, *between;
    *place_of(sorted, down) = link;
    link->up = down->up;
    if (down->left == link) {
        between = link->right;
        down->left = between;
        link->right = down;
    } else {
        between = link->left;
        down->right = between;
        link->left = down;
    }
    down->up = link;
    if (between)
        between->up = down;
}

/* How far from the end a place is looked for there first: often what is named by its time comes last, or nearly. */
enum { NEAR = 6 };

/* All with a greater name than its own are below its right side; NULL: none was found near the end. */
static struct sorted_link *find_near_end(const struct sorted *sorted, struct str name)
{
    struct sorted_link *link = sorted->last;
    for (int i = 0; link && i < NEAR; i++, link = link->up)
        if (str_compare(sorted->name(link), name) <= 0)
            return link;
    return NULL;
}

void sorted_put(struct sorted *sorted, struct sorted_link *link)
{
    struct str name = sorted->name(link);
    struct sorted_link *up = find_near_end(sorted, name);
    struct sorted_link **place = up ? &up->right : &sorted->root;
    while (*place) {
        up = *place;
        place = str_compare(name, sorted->name(up)) < 0 ? &up->left : &up->right;
    }
    *link = (struct sorted_link){.up = up, .priority = draw(sorted)};
    *place = link;
    if (!up || (up == sorted->last && place == &up->right))
        sorted->last = link;
    while (link->up && link->up->priority < link->priority)
        rise(sorted, link);
}

void sorted_remove(struct sorted *sorted, struct sorted_link *link)
{
    if (!link->priority)
        return;
    if (sorted->last == link) { /* it has nothing on its right */
        sorted->last = link->up;
        for (struct sorted_link *below = link->left; below; below = below->right)
            sorted->last = below;
    }
    while (link->left && link->right)
        rise(sorted, link->left->priority > link->right->priority ? link->left : link->right);
    struct sorted_link *below = link->left ? link->left : link->right;
    *place_of(sorted, link) = below;
    if (below)
        below->up = link->up;
    *link = (struct sorted_link){0};
}

/* The first whose name is greater than this one, or not less where that is enough. */
static struct sorted_link *find(const struct sorted *sorted, struct str name, bool equal)
{
    struct sorted_link *found = NULL, *link = sorted->root;
    while (link) {
        int compared = str_compare(sorted->name(link), name);
        if (compared > 0 || (equal && compared == 0)) {
            found = link;
            link = link->left;
        } else {
            link = link->right;
        }
    }
    return found;
}

struct sorted_link *sorted_after(const struct sorted *sorted, struct str name)
{
    return find(sorted, name, false);
}

struct sorted_link *sorted_from(const struct sorted *sorted, struct str name)
{
    return find(sorted, name, true);
}

struct sorted_link *sorted_next(struct sorted_link *link)
{
    if (link->right) {
        struct sorted_link *next = link->right;
        while (next->left)
            next = next->left;
        return next;
    }
    while (link->up && link->up->right == link)
        link = link->up;
    return link->up;
}
