/* configure_tickets.c - see configure_tickets.h. */
#include "server/app/configure_tickets.h"

#include "server/net/admission/ticket_settings.h"

/* Says which option a template or pointer stands in. */
static enum err name_option(const char *key, enum err err, struct error *error)
{
    if (err == ERR_NONE)
        return err;
    const struct error found = *error;
    return error_set(error, err, "%s: %s", key, found.text);
}

enum err configure_tickets(struct net_settings *net, const struct tickets_options *options, struct error *error)
{
    net->tickets_max = options->max;
    if (!*options->path)
        return ERR_NONE;
    struct ticket_settings *tickets = ticket_settings_create(str_from_cstr(options->path));
    net->tickets = tickets;
    for (size_t i = 0; i < options->origins.count; i++)
        texts_add(&tickets->origins, str_from_cstr(options->origins.items[i]));
    tickets->ttl_ms = options->ttl_ms;
    tickets->resumes = options->use == TICKETS_RESUME;
    tickets->rate_per_user = options->rate_per_user;
    tickets->rate_per_address = options->rate_per_address;
    enum err err = json_template_create(str_from_cstr(options->answer), ticket_answer_places, TICKET_ANSWER_PLACES,
                                        &tickets->answer, error);
    err = name_option("tickets.answer", err, error);
    if (err == ERR_NONE) {
        err = json_template_create(str_from_cstr(options->error), ticket_error_places, TICKET_ERROR_PLACES,
                                   &tickets->error, error);
        err = name_option("tickets.error", err, error);
    }
    if (err == ERR_NONE) {
        err = json_pointer_create(str_from_cstr(options->request_purpose), &tickets->purpose, error);
        err = name_option("tickets.request.purpose", err, error);
    }
    if (err == ERR_NONE) {
        err = json_pointer_create(str_from_cstr(options->request_resource), &tickets->resource, error);
        err = name_option("tickets.request.resource", err, error);
    }
    return err;
}
