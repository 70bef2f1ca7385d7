/* configure_tickets.h - makes the settings of tickets from the options. */
#ifndef CARILLON_APP_CONFIGURE_TICKETS_H
#define CARILLON_APP_CONFIGURE_TICKETS_H

#include "server/app/options.h"
#include "server/net/admission/settings.h"

/* Fills net->tickets and net->tickets_max. On failure the error names the option. */
enum err configure_tickets(struct net_settings *net, const struct tickets_options *options, struct error *error);

#endif
