/* channel_view.h - the state of one channel as one client knows it. It checks every message that the client gets there.
 */
#ifndef CARILLON_TESTS_SIM_CHANNEL_VIEW_H
#define CARILLON_TESTS_SIM_CHANNEL_VIEW_H

#include <stdbool.h>

#include "common/base/random.h"
#include "common/base/str.h"
#include "common/protocol/event.h"

enum view_state { VIEW_OUT, VIEW_ASKED, VIEW_IN };

struct channel_view {
    enum view_state state;
    char session[UUID_LEN + 1];   /* of the client's connection; "": not told yet */
    char epoch[EPOCH_MAX + 1];    /* "": no position */
    uint64_t offset;              /* of the last event it has got, or been told of */
    char id[POSITION_ID_MAX + 1]; /* of that event; "": not told */
    size_t record;                /* of the truth, of that event */
    /* Of a channel without history: what has come, a byte a publication, and from where on all should have come. */
    unsigned char *seen;
    size_t seen_count;
    size_t mark;
};

/* A command whose answer is due. */
enum asked_kind { ASKED_NOTHING, ASKED_SUBSCRIBE, ASKED_UNSUBSCRIBE, ASKED_PUBLISH, ASKED_HISTORY, ASKED_PRESENCE };
enum { ASKED_MAX = 64 };
struct asked {
    enum asked_kind kind;
    uint64_t id;
    uint64_t number; /* the channel, or the publication */
    bool since;      /* a subscribe from that position on */
    bool with_id;    /* and it said which event it has there */
    char epoch[EPOCH_MAX + 1];
    uint64_t offset;
    bool must_be_exact; /* ASKED_PRESENCE: these users and no others, a bit each */
    uint64_t expected;
    bool may_be_unknown; /* the same: Redis has lost it, and nobody may have looked yet */
};

/* Copies it. */
void asked_add(struct asked *all, const struct asked *asked);
/* Nothing of that kind waits. */
bool asked_is_answered(const struct asked *all, enum asked_kind kind);
/* The connection is gone: publications have become doubtful. */
void asked_forget(struct asked *all);

void channel_view_ask(struct channel_view *view);
void channel_view_fini(struct channel_view *view);
/* The connection is gone; the position stays. */
void channel_view_leave(struct channel_view *view);
/* A message has come. */
void channel_view_take(size_t client, struct channel_view *views, struct asked *asked, struct str text);
/* At the end. turned: channels that turn have their history. */
void channel_view_check(size_t client, size_t channel, struct channel_view *view, bool connected, bool turned);

#endif
