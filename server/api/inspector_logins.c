/* inspector_logins.c - see inspector_logins.h. */
#include "server/api/inspector_logins.h"

#include <stdio.h>

#include "common/base/random.h"

enum { ID_BYTES = INSPECTOR_LOGIN_ID_LEN / 2 };

void inspector_logins_init(struct inspector_logins *logins)
{
    *logins = (struct inspector_logins){0};
    pthread_mutex_init(&logins->mutex, NULL);
}

void inspector_logins_fini(struct inspector_logins *logins)
{
    pthread_mutex_destroy(&logins->mutex);
}

void inspector_logins_forget(struct inspector_logins *logins)
{
    pthread_mutex_lock(&logins->mutex);
    memset(logins->items, 0, sizeof logins->items);
    pthread_mutex_unlock(&logins->mutex);
}

void inspector_logins_begin(struct inspector_logins *logins, uint64_t now_us, char out_id[INSPECTOR_LOGIN_ID_LEN + 1])
{
    unsigned char bytes[ID_BYTES];
    struct inspector_login *place = logins->items;
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out_id + 2 * i, 3, "%02x", bytes[i]);
    pthread_mutex_lock(&logins->mutex);
    for (size_t i = 1; i < INSPECTOR_LOGINS_MAX; i++)
        if (logins->items[i].ends_us < place->ends_us)
            place = &logins->items[i];
    memcpy(place->id, out_id, INSPECTOR_LOGIN_ID_LEN + 1);
    place->ends_us = now_us + INSPECTOR_LOGIN_S * 1000000ull;
    pthread_mutex_unlock(&logins->mutex);
}

/* Takes a time that does not depend on how much of an id is right. */
static bool is_id(const struct inspector_login *login, struct str given)
{
    unsigned difference = 0;
    for (size_t i = 0; i < INSPECTOR_LOGIN_ID_LEN; i++)
        difference |= (unsigned char)(login->id[i] ^ given.ptr[i]);
    return difference == 0;
}

bool inspector_logins_end(struct inspector_logins *logins, struct str id)
{
    bool found = false;
    if (id.len != INSPECTOR_LOGIN_ID_LEN)
        return false;
    pthread_mutex_lock(&logins->mutex);
    for (size_t i = 0; i < INSPECTOR_LOGINS_MAX; i++)
        if (is_id(&logins->items[i], id)) {
            logins->items[i] = (struct inspector_login){0};
            found = true;
        }
    pthread_mutex_unlock(&logins->mutex);
    return found;
}

bool inspector_logins_has(struct inspector_logins *logins, struct str id, uint64_t now_us)
{
    bool found = false;
    if (id.len != INSPECTOR_LOGIN_ID_LEN)
        return false;
    pthread_mutex_lock(&logins->mutex);
    for (size_t i = 0; i < INSPECTOR_LOGINS_MAX; i++)
        found = (logins->items[i].ends_us > now_us && is_id(&logins->items[i], id)) | found;
    pthread_mutex_unlock(&logins->mutex);
    return found;
}
