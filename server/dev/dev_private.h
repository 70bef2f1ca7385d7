/* dev_private.h - what the files of the server for development share. A file calls only files below it:
 *
 *   dev_server.c        makes the parts and connects them to the server
 *   dev_http.c          finds the route of a request
 *   *_routes.c          the routes of one thing each
 *   held_call.c           calls that are answered later
 *   farewell.c          connections that end behind a reset
 *   line.c              stands in front of the transport: every frame of every session
 *   line_step.c         stands in front of sessions: rules that act at connect
 *   line_messages.c     what a rule does to a message
 *   line_faults.c       what a fault does to a session
 *   line_out.c, line_in.c   one direction each; lane.c: late, slow, frozen
 *   fault_rules.c       which rule acts; fault_action.c: what it does
 *   dev_broker.c        stands in front of the broker
 *   dev_clock.c         the clock of the whole process
 *   watch.c             observes the hub
 *   guard.c             who may ask the internal listener
 *   terminal.c          shows the journal
 *   line_match.c        which expectation has which line
 *   journal.c           what has happened */
#ifndef CARILLON_DEV_DEV_PRIVATE_H
#define CARILLON_DEV_DEV_PRIVATE_H

#include "server/core/observer.h"
#include "server/dev/dev_broker.h"
#include "server/dev/dev_clock.h"
#include "server/dev/dev_server.h"
#include "server/dev/farewell.h"
#include "server/dev/guard.h"
#include "server/dev/held_call.h"
#include "server/dev/journal.h"
#include "server/dev/line.h"
#include "server/dev/terminal.h"
#include "server/dev/watch.h"

struct dev {
    struct server_hooks hooks;
    struct dev_start start;
    struct server_parts parts; /* zeroed until the server is made */
    struct journal journal;
    struct held_calls held;
    struct dev_clock clock;
    struct http_call *clock_call; /* the order that moves the clock now; NULL: none */
    uint64_t clock_since;         /* the journal's last line before that order */
    struct line_set lines;
    struct watch watch;
    struct guard guard;
    struct buf facts; /* JSON; empty until dev_tell_facts */
    struct terminal terminal;
    bool shows_terminal;
    struct dev_broker broker;
    bool has_other_channels; /* rules than at the start */
    struct farewells farewells;
    uint64_t number; /* the last one of dev_number */
};

#endif
