/* ticket_settings.h - how clients get tickets at the public listener. A part of the net settings: filled by one thread,
 * then immutable. */
#ifndef CARILLON_NET_ADMISSION_TICKET_SETTINGS_H
#define CARILLON_NET_ADMISSION_TICKET_SETTINGS_H

#include "common/json/json_pointer.h"
#include "common/json/json_template.h"
#include "server/net/admission/texts.h"

/* The places of the templates, in this order. */
enum { TICKET_ANSWER_TICKET, TICKET_ANSWER_EXPIRES_IN, TICKET_ANSWER_PLACES };
enum { TICKET_ERROR_CODE, TICKET_ERROR_MESSAGE, TICKET_ERROR_PLACES };
extern const char *const ticket_answer_places[TICKET_ANSWER_PLACES], *const ticket_error_places[TICKET_ERROR_PLACES];

struct ticket_settings {
    struct str path;      /* owned */
    struct texts origins; /* of web pages that may get tickets; empty: any */
    uint64_t ttl_ms;
    bool resumes;
    uint64_t rate_per_user; /* a minute; 0: no limit */
    uint64_t rate_per_address;
    struct json_template *answer; /* owned, as the next ones */
    struct json_template *error;
    struct json_pointer *purpose; /* in the body of a request */
    struct json_pointer *resource;
};

/* A zeroed one with its own path. */
struct ticket_settings *ticket_settings_create(struct str path);
/* NULL is fine. */
void ticket_settings_destroy(struct ticket_settings *settings);

#endif
