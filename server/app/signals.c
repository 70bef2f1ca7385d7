/* signals.c - see signals.h. */
#include "server/app/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

static void mask_hangup(int how)
{
    sigset_t hangup;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    pthread_sigmask(how, &hangup, NULL);
}

void signals_hold(void)
{
    static const int meaningless[] = {SIGUSR1, SIGUSR2, SIGALRM, SIGIO, SIGXFSZ};
    for (size_t i = 0; i < sizeof meaningless / sizeof *meaningless; i++)
        signal(meaningless[i], SIG_IGN);
    mask_hangup(SIG_BLOCK);
}

void signals_release(void)
{
    mask_hangup(SIG_UNBLOCK);
}
