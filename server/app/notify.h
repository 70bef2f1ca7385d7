/* notify.h - tells whoever started the server that it is ready: systemd (sd_notify(3), without its library) and a pipe
 * given by number. */
#ifndef CARILLON_APP_NOTIFY_H
#define CARILLON_APP_NOTIFY_H

#include "common/base/str.h"

/* Sends lines such as "READY=1" to the socket that NOTIFY_SOCKET names. Does nothing without it. A failure is logged,
 * and the server goes on. */
void notify_systemd(const char *state);

/* Writes the text to the descriptor and closes it. fd 0: does nothing. */
void notify_fd(int fd, struct str text);

#endif
