/* admission_fixture.h - an admitter with real tokens, and requests for it. A test writes a token as its name, for
 * instance goo.goo.goo. */
#ifndef CARILLON_TESTS_ADMISSION_FIXTURE_H
#define CARILLON_TESTS_ADMISSION_FIXTURE_H

#include "server/net/entry/limits_step.h"
#include "tests/support/unit.h"

enum { TOKEN_KINDS = 6 };

struct fixture {
    struct net_settings *settings;
    struct buf tokens[TOKEN_KINDS];
    struct turn turn; /* its time only */
    struct metrics metrics;
    struct admitter admitter;
    char bytes[8192];
    struct http_head head;
    struct lease lease;
    struct admission admission;
    struct error error;
};

/* Its endpoints are /ws, /strict, /http and /close. Add others before a request. For cmocka. */
int set_up(void **state);
int tear_down(void **state);

/* Decides on a good handshake for the target with more header lines, and takes the places of an admitted client. */
const struct admission *decide(struct fixture *fixture, const char *target, const char *lines);
/* The same for the request head in fixture->bytes. */
const struct admission *decide_head(struct fixture *fixture, enum reason unavailable);
/* The admitted client goes. Its places in the limits are given back. */
void done(struct fixture *fixture);
/* How many tokens were verified, whatever came out. */
uint64_t verified(const struct fixture *fixture);

#endif
