/* running.h - where a server that runs on this machine listens, from how it was started. */
#ifndef CARILLON_CLI_RUNNING_H
#define CARILLON_CLI_RUNNING_H

#include "common/base/buf.h"
#include "common/base/error.h"

/* Appends the URL of the internal listener of the process `pid`: of `carillon serve` or `dev`, also behind a program
 * that starts it (docker-init). Its flags and its environment count, and its configuration file as it is now. If the
 * file has mistakes, the address is that without it: the server runs on with what it has read before. Only the user of
 * the process and root can ask. */
enum err running_url(unsigned pid, struct buf *out, struct error *error);

#endif
