/* notify.h - tells whoever started the server that it is ready: systemd (sd_notify(3), without its library) and a pipe
 * given by number. */
#ifndef CARILLON_APP_NOTIFY_H
#define CARILLON_APP_NOTIFY_H

#include "common/base/str.h"

/* Sends lines such as "READY=1" to the socket named by NOTIFY_SOCKET; does nothing when there is none. Failure is
 * logged: the server serves all the same. */
void notify_systemd(const char *state);

/* Writes the text to the descriptor and closes it. fd 0: does nothing. */
void notify_fd(int fd, struct str text);

#endif
