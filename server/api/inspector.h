/* inspector.h - pages of the internal listener that show sessions, channels, presence and nodes, and change nothing
 * (console.enabled). An API key, sent once by a form, opens them: the answer has a cookie with the random id of a login
 * (inspector_logins.h). The pages ask by GET. SameSite=Strict keeps the cookie from the requests of other sites' pages.
 * A POST of another origin's page is refused (own_page.h): it could end the login, or use up the attempts.
 *
 *   GET /                    the inspector, or the form where nobody has logged in
 *   POST /console/login      key=...: 303 to / with the cookie; 10 wrong keys a minute for each address
 *   POST /console/logout     303 to /, without the cookie: its login has ended
 *   GET /console/api/v1/...  what the API answers, of the routes in inspector.c: none shows an event's content */
#ifndef CARILLON_API_INSPECTOR_H
#define CARILLON_API_INSPECTOR_H

#include "server/api/api.h"

/* The logins of a process. Any thread may use it (a mutex). */
struct inspector;

struct inspector *inspector_create(void);
/* NULL is fine. */
void inspector_destroy(struct inspector *inspector);
/* Ends all logins: the keys may be others now. */
void inspector_forget(struct inspector *inspector);

bool inspector_has(struct str path);
/* By the head alone, before a body is read. False: the call has been answered. */
bool inspector_admit(struct http_call *call);
/* Answers, some calls through the API, in whose thread this is. now_us is monotonic. */
void inspector_serve(struct inspector *inspector, struct api *api, struct http_call *call, uint64_t now_us);

#endif
