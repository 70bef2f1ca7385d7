/* build.h - what this program was built of. Any thread. */
#ifndef CARILLON_APP_BUILD_H
#define CARILLON_APP_BUILD_H

#include "common/base/buf.h"

/* The commit that it was built from, with "-modified" where a file had changed since, or "unknown". */
const char *build_commit(void);

/* Appends {"version","commit","libraries":{name: version},"features":[…]}. A library that can tell says the version it
 * runs with, any other the one that the program was built with. */
void build_describe(struct buf *out);

#endif
