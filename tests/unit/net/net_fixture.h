/* net_fixture.h - a worker and its listeners on a loop that the test turns, and clients on loopback sockets. */
#ifndef CARILLON_TESTS_NET_FIXTURE_H
#define CARILLON_TESTS_NET_FIXTURE_H

#include "server/net/http/listener.h"
#include "server/net/worker.h"

struct net_fixture {
    uv_loop_t loop;
    struct turn turn;
    struct net_settings *settings; /* change before fixture_start */
    struct token_keys *keys;
    struct hub_settings hub_settings;
    struct outside_steps outside_steps; /* as well */
    struct rules *rules;
    struct metrics metrics;
    struct quota *quota;
    struct worker *worker;
    struct connection_set *connections; /* its */
    struct listener *listeners[2];      /* public, internal */
    char token[512];                    /* a good one, of user "u" */
    struct http_call *held;             /* a call of /later that the test answers */
    const char *more_claims;            /* of the next token, such as ,"a":1; NULL: none */
    struct session_slot_request *slot;  /* the last one to be taken; the test answers it */
    struct buf slots;                   /* "take", "keep" and "leave" with a space each, as the node was asked */
};

/* An endpoint /ws, a key, short deadlines. */
struct net_fixture *fixture_create(void);
void fixture_start(struct net_fixture *fixture);
void fixture_destroy(struct net_fixture *fixture);

/* One secret of 32 bytes or more. The caller has the reference. */
struct token_keys *fixture_make_keys(const char *secret);
/* fixture->token becomes a good one by these keys. */
void fixture_make_token(struct net_fixture *fixture, const struct token_keys *keys);

/* A connection to the public or the internal listener. */
int fixture_connect(struct net_fixture *fixture, bool internal);
void fixture_send(int fd, struct str bytes);
/* Turns the loop until the peer has closed, or `until` has come, or, as a failure, time is up. NUL-terminated. The
 * caller frees it. until NULL: until closed. */
char *fixture_read(struct net_fixture *fixture, int fd, const char *until);
void fixture_turn(struct net_fixture *fixture);

/* A handshake for the target with more header lines, into out. */
struct str fixture_handshake(char out[2048], const char *target, const char *lines);

/* A masked frame with a short payload, into out. */
struct str fixture_frame(char out[256], int first_byte, const char *payload);

#endif
