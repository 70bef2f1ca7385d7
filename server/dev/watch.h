/* watch.h - observes the hub for the journal: sessions come and go, and they join and leave channels. */
#ifndef CARILLON_DEV_WATCH_H
#define CARILLON_DEV_WATCH_H

#include "server/core/observer.h"
#include "server/dev/journal.h"

struct watch {
    struct observer observer;
    struct journal *journal;
    struct hub *hub;
};

/* Both are borrowed for the hub's life. */
void watch_start(struct watch *watch, struct journal *journal, struct hub *hub);

/* Adds a line about a session. The note's session and user are filled in. */
void watch_note(struct journal *journal, const struct session *session, struct journal_note note);

#endif
