/* option_file.h - inside the engine: the configuration file. */
#ifndef CARILLON_OPTIONS_OPTION_FILE_H
#define CARILLON_OPTIONS_OPTION_FILE_H

#include "common/options/option_value.h"

/* Sets what the text says over what *options has. name: the file's, for messages and as the place relative paths start
 * at. False: complained; some members may have been set. */
bool option_set_file(const struct option_table *table, const char *name, struct str text, void *options,
                     struct option_sources *sources, struct buf *messages);

#endif
