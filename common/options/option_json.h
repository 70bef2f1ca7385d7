/* option_json.h - inside the engine: one value from JSON, or a list of texts or numbers. */
#ifndef CARILLON_OPTIONS_OPTION_JSON_H
#define CARILLON_OPTIONS_OPTION_JSON_H

#include "common/options/option_value.h"

/* As option_set_json, for rows that are no RECORDS and no MAP. */
bool option_set_json_value(const struct option_row *row, struct json_value value, const struct option_place *place,
                           void *options);
/* Complains about a value of the wrong kind. Secrets are not repeated. Returns false. */
bool option_refuse_json(const struct option_row *row, const struct option_place *place, struct json_value value);

#endif
