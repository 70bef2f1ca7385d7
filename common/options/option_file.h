/* option_file.h - inside the engine: the configuration file. */
#ifndef CARILLON_OPTIONS_OPTION_FILE_H
#define CARILLON_OPTIONS_OPTION_FILE_H

#include "common/options/option_value.h"

/* Sets the values of the text in *options. name: of the file, for messages; relative paths start at its folder. A file
 * with a secret is not read where a preset of the input goes over it. False: it has complained, and some members may
 * have been set. */
bool option_set_file(const struct option_table *table, const char *name, struct str text,
                     const struct options_input *input, void *options, struct option_sources *sources,
                     struct buf *messages);

#endif
