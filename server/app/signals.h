/* signals.h - signals that must not end a server at once: its sessions are drained first, or nothing happens. */
#ifndef CARILLON_APP_SIGNALS_H
#define CARILLON_APP_SIGNALS_H

/* In the main thread, before it makes others, once it is known that it is to serve. SIGHUP waits from here on. SIGUSR1,
 * SIGUSR2, SIGALRM, SIGIO and SIGXFSZ mean nothing to a server and would end it without a drain: ignored. */
void signals_hold(void);
/* SIGHUP is watched now: one that has waited is delivered. */
void signals_release(void);

#endif
