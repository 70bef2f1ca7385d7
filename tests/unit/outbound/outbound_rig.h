/* outbound_rig.h - for tests of the outbound thread: a loop as a caller has it, calls whose answers are kept, and a
 * backend of one function. */
#ifndef CARILLON_TESTS_OUTBOUND_RIG_H
#define CARILLON_TESTS_OUTBOUND_RIG_H

#include "server/outbound/outbound.h"
#include "tests/support/unit.h"

/* --- the backend: a thread for each connection ----------------------------------------------------------------- */

struct backend {
    int listener;
    unsigned port;
    void (*serve)(struct backend *backend, int fd); /* the connection is closed when it returns */
    pthread_t thread;
    atomic_uint connections;
    atomic_uint requests; /* counted by backend_read */
    atomic_bool stopping;
};

void backend_start(struct backend *backend, void (*serve)(struct backend *, int));
void backend_start_at(struct backend *backend, void (*serve)(struct backend *, int), unsigned port);
/* Closes the listener and waits for all connections to end. Serve functions must end when the peer closes. */
void backend_stop(struct backend *backend);
/* Reads one request, and its body by Content-Length, into *request (with a NUL). False: the peer has closed. */
bool backend_read(struct backend *backend, int fd, struct buf *request);
/* False: the peer has closed. */
bool backend_write(int fd, const char *bytes);

/* --- the caller ------------------------------------------------------------------------------------------------ */

struct rig {
    uv_loop_t loop;
    struct turn turn;
    struct mailbox mailbox;
    struct metrics metrics;
    struct outbound *outbound;
};

/* One call and what has come for it. */
struct seen {
    struct outbound_call *call; /* NULL: it has ended */
    int heads;
    int status;
    char type[128];
    char fields[OUTBOUND_FIELDS_MAX][256];
    struct buf body;
    unsigned parts;
    bool acknowledge; /* each part at once */
    int cancel_at;    /* 1: in head, 2: in body */
    bool ended;
    enum outbound_result result;
    char text[256];
};

void rig_open(struct rig *rig);
/* Ends the outbound thread, delivers the last mail and closes the loop. */
void rig_close(struct rig *rig);
/* Target at the backend (or url, if not NULL). options may be NULL. */
struct outbound_target *rig_target(struct rig *rig, const struct backend *backend,
                                   struct outbound_target_options *options);
void rig_start(struct rig *rig, struct outbound_target *target, const char *method, struct str body, struct seen *seen);
/* Runs the loop until the call has ended. Fails the test after 10 s. */
void rig_await(struct rig *rig, struct seen *seen);
/* POST, and waits for its end. */
void rig_call(struct rig *rig, struct outbound_target *target, const char *body, struct seen *seen);
/* Runs the loop until what() holds. Fails the test after 10 s. */
void rig_until(struct rig *rig, bool (*what)(void *), void *arg);
void seen_fini(struct seen *seen);
extern const struct outbound_ops rig_ops;

#endif
