/* dev_parent.h - ends this process when the process that started it ends. */
#ifndef CARILLON_CLI_DEV_PARENT_H
#define CARILLON_CLI_DEV_PARENT_H

#include "common/base/error.h"

/* From now on this process gets SIGTERM when its parent has ended, whatever ended it. Call it while there is only one
 * thread. ERR_UNAVAILABLE: the parent has ended already. */
enum err dev_parent_watch(struct error *error);

#endif
