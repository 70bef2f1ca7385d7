/* order.c - see order.h. */
#include "common/base/order.h"

#include "common/base/random.h"

void order_init(struct order *order, struct str (*name)(struct order_link *link))
{
    *order = (struct order){.name = name};
    random_bytes(&order->random, sizeof order->random);
    order->random |= 1;
}

/* xorshift64*: balance is all that hangs on it, and nobody sees it. Never 0. */
static uint32_t draw(struct order *order)
{
    order->random ^= order->random >> 12;
    order->random ^= order->random << 25;
    order->random ^= order->random >> 27;
    return (uint32_t)(order->random * UINT64_C(2685821657736338717) >> 32) | 1;
}

/* Where the link hangs. */
static struct order_link **place_of(struct order *order, const struct order_link *link)
{
    if (!link->up)
        return &order->root;
    return link->up->left == link ? &link->up->left : &link->up->right;
}

/* The link changes places with the one above it. */
static void rise(struct order *order, struct order_link *link)
{
    struct order_link *down = link->up, *between;
    *place_of(order, down) = link;
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

void order_put(struct order *order, struct order_link *link)
{
    struct str name = order->name(link);
    struct order_link **place = &order->root, *up = NULL;
    if (order->last && str_compare(order->name(order->last), name) <= 0) {
        up = order->last; /* often: what is named by its time comes last */
        place = &up->right;
    }
    while (*place) {
        up = *place;
        place = str_compare(name, order->name(up)) < 0 ? &up->left : &up->right;
    }
    *link = (struct order_link){.up = up, .priority = draw(order)};
    *place = link;
    if (!up || (up == order->last && place == &up->right))
        order->last = link;
    while (link->up && link->up->priority < link->priority)
        rise(order, link);
}

void order_remove(struct order *order, struct order_link *link)
{
    if (!link->priority)
        return;
    if (order->last == link) { /* it has nothing on its right */
        order->last = link->up;
        for (struct order_link *below = link->left; below; below = below->right)
            order->last = below;
    }
    while (link->left && link->right)
        rise(order, link->left->priority > link->right->priority ? link->left : link->right);
    struct order_link *below = link->left ? link->left : link->right;
    *place_of(order, link) = below;
    if (below)
        below->up = link->up;
    *link = (struct order_link){0};
}

/* The first whose name is greater than this one, or not less where that is enough. */
static struct order_link *find(const struct order *order, struct str name, bool equal)
{
    struct order_link *found = NULL, *link = order->root;
    while (link) {
        int compared = str_compare(order->name(link), name);
        if (compared > 0 || (equal && compared == 0)) {
            found = link;
            link = link->left;
        } else {
            link = link->right;
        }
    }
    return found;
}

struct order_link *order_after(const struct order *order, struct str name)
{
    return find(order, name, false);
}

struct order_link *order_from(const struct order *order, struct str name)
{
    return find(order, name, true);
}

struct order_link *order_next(struct order_link *link)
{
    if (link->right) {
        struct order_link *next = link->right;
        while (next->left)
            next = next->left;
        return next;
    }
    while (link->up && link->up->right == link)
        link = link->up;
    return link->up;
}
