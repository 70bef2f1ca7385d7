/* redis_subscription.c - see redis_subscription.h. */
#include "server/broker/redis/redis_subscription.h"

#include "common/base/alloc.h"
#include "server/broker/redis/topology/redis_slots.h"

static void count_all(const struct redis_subscriptions *set)
{
    metrics_set(set->metrics, METRIC_BROKER_SUBSCRIPTIONS, set->by_key.count);
}

struct redis_subscription *redis_subscription_find(struct redis_subscriptions *set, struct str key)
{
    return map_get(&set->by_key, key);
}

struct redis_subscription *redis_subscription_find_at(struct redis_subscriptions *set, const struct redis_shard *shard,
                                                      struct str key)
{
    struct redis_subscription *subscription = map_get(&set->by_key, key);
    return subscription && subscription->shard == shard ? subscription : NULL;
}

struct redis_subscription *redis_subscription_create(struct redis_subscriptions *set, struct str channel,
                                                     struct str key)
{
    struct redis_subscription *subscription = xcalloc(1, sizeof *subscription + channel.len + key.len);
    char *at = subscription->bytes;
    subscription->channel = str_pack(&at, channel);
    subscription->key = str_pack(&at, key);
    map_put(&set->by_key, subscription->key, subscription);
    if (set->by_slot) {
        subscription->slot = redis_slot_of(key);
        list_append(&set->by_slot[subscription->slot], &subscription->of_slot);
    }
    return subscription;
}

void redis_subscription_note_change(struct redis_subscriptions *set, struct redis_subscription *subscription)
{
    if (!list_is_linked(&subscription->change))
        list_append(&set->changed, &subscription->change);
    count_all(set);
}

void redis_subscription_drop_if_done(struct redis_subscriptions *set, struct redis_subscription *subscription)
{
    if (subscription->wanted || subscription->sent || subscription->unconfirmed || subscription->positions)
        return;
    list_remove(&subscription->change);
    list_remove(&subscription->untold);
    list_remove(&subscription->of_slot);
    map_remove(&set->by_key, subscription->key);
    free(subscription);
    count_all(set);
}

size_t redis_subscriptions_count(const struct redis_subscriptions *set, const struct redis_shard *shard)
{
    size_t cursor = 0, count = 0;
    for (const struct redis_subscription *each; (each = map_next(&set->by_key, &cursor));)
        count += each->shard == shard;
    return count;
}

void redis_subscriptions_init(struct redis_subscriptions *set, bool by_slot, struct metrics *metrics)
{
    *set = (struct redis_subscriptions){.metrics = metrics};
    list_init(&set->changed);
    list_init(&set->untold);
    if (!by_slot)
        return;
    set->by_slot = xcalloc(REDIS_SLOTS, sizeof *set->by_slot);
    for (unsigned slot = 0; slot < REDIS_SLOTS; slot++)
        list_init(&set->by_slot[slot]);
}

void redis_subscriptions_fini(struct redis_subscriptions *set)
{
    size_t cursor = 0;
    for (struct redis_subscription *each; (each = map_next(&set->by_key, &cursor));)
        free(each);
    map_fini(&set->by_key);
    free(set->by_slot);
}
