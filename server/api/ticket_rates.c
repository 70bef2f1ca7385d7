/* ticket_rates.c - see ticket_rates.h. */
#include "server/api/ticket_rates.h"

#include <pthread.h>

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "server/core/rate.h"

struct asker {
    struct list_link link; /* in ticket_rates.by_use */
    struct rate rate;
    struct str key;
    char bytes[];
};

struct ticket_rates {
    pthread_mutex_t mutex;
    struct map askers;       /* struct asker */
    struct list_link by_use; /* the same, used longest ago first */
};

struct ticket_rates *ticket_rates_create(void)
{
    struct ticket_rates *rates = xcalloc(1, sizeof *rates);
    pthread_mutex_init(&rates->mutex, NULL);
    list_init(&rates->by_use);
    return rates;
}

static void forget_oldest(struct ticket_rates *rates)
{
    struct asker *asker = CONTAINER_OF(list_take_first(&rates->by_use), struct asker, link);
    map_remove(&rates->askers, asker->key);
    free(asker);
}

void ticket_rates_clear(struct ticket_rates *rates)
{
    pthread_mutex_lock(&rates->mutex);
    while (rates->askers.count > 0)
        forget_oldest(rates);
    pthread_mutex_unlock(&rates->mutex);
}

void ticket_rates_destroy(struct ticket_rates *rates)
{
    if (!rates)
        return;
    ticket_rates_clear(rates);
    map_fini(&rates->askers);
    pthread_mutex_destroy(&rates->mutex);
    free(rates);
}

static struct asker *find_or_add(struct ticket_rates *rates, char kind, struct str key)
{
    struct asker *asker = xcalloc(1, sizeof *asker + key.len + 1);
    asker->bytes[0] = kind;
    if (key.len)
        memcpy(asker->bytes + 1, key.ptr, key.len);
    asker->key = str_from(asker->bytes, key.len + 1);
    struct asker *known = map_get(&rates->askers, asker->key);
    if (known) {
        free(asker);
        list_remove(&known->link);
        return known;
    }
    if (rates->askers.count >= TICKET_RATES_MAX)
        forget_oldest(rates);
    map_put(&rates->askers, asker->key, asker);
    return asker;
}

static bool ask(struct ticket_rates *rates, char kind, struct str key, uint64_t per_minute, bool takes, uint64_t now_us,
                uint64_t *out_retry_us)
{
    const struct rate_limit limit = {.per_minute = per_minute, .burst = per_minute};
    if (per_minute == 0)
        return true;
    pthread_mutex_lock(&rates->mutex);
    struct asker *asker = find_or_add(rates, kind, key);
    list_append(&rates->by_use, &asker->link);
    struct rate rate = asker->rate;
    bool good = rate_take(&rate, &limit, 1, now_us, out_retry_us);
    if (takes)
        asker->rate = rate;
    pthread_mutex_unlock(&rates->mutex);
    return good;
}

bool ticket_rates_take(struct ticket_rates *rates, char kind, struct str key, uint64_t per_minute, uint64_t now_us,
                       uint64_t *out_retry_us)
{
    return ask(rates, kind, key, per_minute, true, now_us, out_retry_us);
}

bool ticket_rates_has(struct ticket_rates *rates, char kind, struct str key, uint64_t per_minute, uint64_t now_us,
                      uint64_t *out_retry_us)
{
    return ask(rates, kind, key, per_minute, false, now_us, out_retry_us);
}
