/* ticket_settings.c - see ticket_settings.h. */
#include "server/net/admission/ticket_settings.h"

#include "common/base/alloc.h"

const char *const ticket_answer_places[TICKET_ANSWER_PLACES] = {
    [TICKET_ANSWER_TICKET] = "ticket", [TICKET_ANSWER_EXPIRES_IN] = "expires_in"};
const char *const ticket_error_places[TICKET_ERROR_PLACES] = {
    [TICKET_ERROR_CODE] = "code", [TICKET_ERROR_MESSAGE] = "message"};

struct ticket_settings *ticket_settings_create(struct str path)
{
    struct ticket_settings *settings = xcalloc(1, sizeof *settings);
    settings->path = str_from(str_dup(path), path.len);
    return settings;
}

void ticket_settings_destroy(struct ticket_settings *settings)
{
    if (!settings)
        return;
    free((char *)(uintptr_t)settings->path.ptr); /* ours, although a str never owns */
    texts_clear(&settings->origins);
    json_template_free(settings->answer);
    json_template_free(settings->error);
    free(settings->purpose);
    free(settings->resource);
    free(settings);
}
