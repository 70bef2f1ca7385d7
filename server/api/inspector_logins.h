/* inspector_logins.h - who has logged in to the inspector (inspector.h). A login is a random id, which the browser has
 * in a cookie. It ends after eight hours. Any thread may use the table (a mutex). */
#ifndef CARILLON_API_INSPECTOR_LOGINS_H
#define CARILLON_API_INSPECTOR_LOGINS_H

#include <pthread.h>
#include <stdbool.h>

#include "common/base/str.h"

enum { INSPECTOR_LOGINS_MAX = 256, INSPECTOR_LOGIN_S = 8 * 3600, INSPECTOR_LOGIN_ID_LEN = 64 };

struct inspector_login {
    char id[INSPECTOR_LOGIN_ID_LEN + 1]; /* hexadecimal */
    uint64_t ends_us;                    /* 0: no login */
};

struct inspector_logins {
    pthread_mutex_t mutex;
    struct inspector_login items[INSPECTOR_LOGINS_MAX];
};

void inspector_logins_init(struct inspector_logins *logins);
void inspector_logins_fini(struct inspector_logins *logins);
/* Ends all of them. */
void inspector_logins_forget(struct inspector_logins *logins);

/* Begins one, in the place of the login that ends first. now_us is monotonic. */
void inspector_logins_begin(struct inspector_logins *logins, uint64_t now_us, char out_id[INSPECTOR_LOGIN_ID_LEN + 1]);
/* False: there is no such login. */
bool inspector_logins_end(struct inspector_logins *logins, struct str id);
bool inspector_logins_has(struct inspector_logins *logins, struct str id, uint64_t now_us);

#endif
