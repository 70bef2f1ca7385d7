/* ticket_rates.h - how many tickets each user and each client address has asked for. A node has one table, which its
 * workers share. Any thread may use it (a mutex). At most TICKET_RATES_MAX keys are known: over it, the key that was
 * used longest ago is forgotten. */
#ifndef CARILLON_API_TICKET_RATES_H
#define CARILLON_API_TICKET_RATES_H

#include <stdbool.h>

#include "common/base/str.h"

enum { TICKET_RATES_MAX = 65536 };

struct ticket_rates;

struct ticket_rates *ticket_rates_create(void);
/* NULL is fine. */
void ticket_rates_destroy(struct ticket_rates *rates);
/* Nobody has asked for anything yet. */
void ticket_rates_clear(struct ticket_rates *rates);

/* Counts one request of the key, of which there may be per_minute (0: no limit) on average and at once. False: it is
 * one too many, and *out_retry_us says when the next one is not. kind tells a user from an address of the same text. */
bool ticket_rates_take(struct ticket_rates *rates, char kind, struct str key, uint64_t per_minute, uint64_t now_us,
                       uint64_t *out_retry_us);
/* Whether ticket_rates_take would be true. Counts nothing. */
bool ticket_rates_has(struct ticket_rates *rates, char kind, struct str key, uint64_t per_minute, uint64_t now_us,
                      uint64_t *out_retry_us);

#endif
