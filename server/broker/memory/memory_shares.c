/* memory_shares.c - see memory_shares.h. */
#include "server/broker/memory/memory_shares.h"

#include "common/base/alloc.h"

/* There while it has any. Owned by memory_shares.users. */
struct memory_share {
    char user[sizeof(uint64_t)];
    size_t size;
    struct list_link parts; /* unused for longest first */
};

void memory_shares_init(struct memory_shares *shares, size_t max)
{
    *shares = (struct memory_shares){.max = max};
}

void memory_shares_fini(struct memory_shares *shares)
{
    map_fini(&shares->users);
}

static struct memory_share *find_or_create(struct memory_shares *shares, uint64_t user)
{
    char key[sizeof user];
    memcpy(key, &user, sizeof user);
    struct memory_share *share = map_get(&shares->users, str_from(key, sizeof key));
    if (share)
        return share;
    share = xcalloc(1, sizeof *share);
    memcpy(share->user, key, sizeof key);
    list_init(&share->parts);
    map_put(&shares->users, str_from(share->user, sizeof share->user), share);
    return share;
}

void memory_shares_remove(struct memory_shares *shares, struct memory_part *part)
{
    struct memory_share *share = part->share;
    if (!share)
        return;
    list_remove(&part->link);
    share->size -= part->size;
    *part = (struct memory_part){0};
    if (!list_is_empty(&share->parts))
        return;
    map_remove(&shares->users, str_from(share->user, sizeof share->user));
    free(share);
}

void memory_shares_put(struct memory_shares *shares, struct memory_part *part, uint64_t user, size_t size)
{
    if (!user)
        return;
    struct memory_share *share = find_or_create(shares, user);
    *part = (struct memory_part){.share = share, .size = size};
    share->size += size;
    list_append(&share->parts, &part->link);
}

struct memory_part *memory_shares_over(const struct memory_shares *shares, const struct memory_part *part)
{
    if (!part->share || part->share->size <= shares->max)
        return NULL;
    return CONTAINER_OF(part->share->parts.next, struct memory_part, link);
}
