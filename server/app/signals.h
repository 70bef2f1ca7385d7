/* signals.h - signals that must not end a server at once: its sessions are drained first, or nothing happens. */
#ifndef CARILLON_APP_SIGNALS_H
#define CARILLON_APP_SIGNALS_H

/* Call it in the main thread, before there are other threads, in a process that will serve. From then on SIGHUP waits.
 * SIGUSR1, SIGUSR2, SIGALRM, SIGIO and SIGXFSZ are ignored: by default they would end the server without a drain. */
void signals_hold(void);
/* Call it when SIGHUP is watched. A SIGHUP that has waited is then delivered. */
void signals_release(void);

#endif
