/* dev_lines.h - what `carillon dev` prints: for each endpoint, what a client needs, and lines that work when they are
 * pasted. */
#ifndef CARILLON_CLI_DEV_LINES_H
#define CARILLON_CLI_DEV_LINES_H

#include "server/cli/dev_facts.h"

/* Prints to stdout. */
void dev_lines_print(const struct dev_facts *facts);

#endif
