/* fake_upstream.h - an upstream that answers as the test says, and counts what it is asked. */
#ifndef CARILLON_TESTS_FAKE_UPSTREAM_H
#define CARILLON_TESTS_FAKE_UPSTREAM_H

#include "common/base/buf.h"
#include "server/core/hub.h"

enum fake_answer {
    FAKE_ECHO,   /* at once, by hub_send */
    FAKE_LATER,  /* when the test calls fake_answer_all; it is in flight until then */
    FAKE_HOLD,   /* holds the input, and says nothing */
    FAKE_REFUSE, /* take fails */
    FAKE_END,    /* ends the session */
};

struct fake_upstream {
    struct upstream base;
    struct hub *hub;
    enum fake_answer answer;
    struct buf log; /* "open", "take 1 text hello", "end 1000 REASON"; a line each */
    struct upstream_session *last;
    struct buf later;     /* the messages that wait */
    struct session_id of; /* the session that they are of */
    unsigned destroyed;
};

/* One reference. */
void fake_upstream_init(struct fake_upstream *fake);
/* The test has let its reference go: all are gone. */
void fake_upstream_fini(struct fake_upstream *fake);
/* What waits goes to its session, if that is still there. */
void fake_answer_all(struct fake_upstream *fake);

#endif
