/* presence.h - who is on a channel, where the channel's rule keeps that. A hub tells its node of each session that
 * comes and goes (presence_change). The node tells the broker, and asks it, by requests (request.h). */
#ifndef CARILLON_CORE_PRESENCE_H
#define CARILLON_CORE_PRESENCE_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/protocol/presence_page.h"
#include "common/token/claims.h"
#include "server/core/request.h"

struct presence;

enum {
    PRESENCE_INFO_MAX = 4096, /* bytes of JSON; a longer info claim is left out */
    PRESENCE_BATCH_MAX = 100, /* changes in one update */
    PRESENCE_PAGE_MAX = 1000,
    PRESENCE_PAGE_DEFAULT = 100,
    PRESENCE_PAGE_BYTES = 256 * 1024 /* of entries in a page, but one entry at least */
};

/* A session has come to the channel, or has left it. policy_only: the channel's rule is another one. */
struct presence_change {
    struct mail mail;
    struct presence *presence; /* whose it is (server/node/node_presence.h); set when it is posted */
    bool here;
    bool policy_only;
    struct presence_policy policy;
    struct str channel; /* the texts lie in bytes */
    struct str user;
    struct str entry; /* JSON: {"user":...,"info":...}, as others see it; empty when it leaves */
    char bytes[];
};

/* Copies the texts. Freed by free(). */
struct presence_change *presence_change_create(bool here, const struct presence_policy *policy, struct str channel,
                                               const struct claims *claims);

/* The members stay as they are. From now on they are kept by this policy. */
struct presence_change *presence_change_create_policy(const struct presence_policy *policy, struct str channel);

/* What has changed on a channel on this node. An update without changes is a sign that the node is alive. */
struct presence_update {
    struct request base; /* until the answer, base.channel and the texts below are borrowed */
    struct presence_policy policy;
    uint64_t connections; /* this node's on the channel, after the changes */
    uint64_t round;       /* drawn at random each time that the node begins to tell all its members */
    bool complete;        /* the round ends: a member that it has not told is no longer there */
    uint64_t number;      /* of this update; a later one has a greater number */
    uint64_t after;       /* the number that the broker must have reached in the round; 0: the round begins */
    bool known;           /* answer; false: nothing was done, for the broker has lost the members of this node */
    bool more;            /* answer; members of other nodes have yet to be taken off, by another update */
    struct buf changed;   /* answer; who has come or left on all nodes (presence_next_changed) */
    size_t count;         /* PRESENCE_BATCH_MAX at most */
    struct presence_item {
        bool here;
        struct str user;
        struct str entry;
        void *member; /* the maker's own; nothing to the broker */
    } items[];
};

/* A page of a channel's members, in bytewise order of their users. */
struct presence_read {
    struct request base;
    struct presence_policy policy;
    struct str after; /* only users after it; empty: from the first on */
    uint64_t limit;
    bool again; /* the broker's: it has to ask once more */
    /* The answer. */
    uint64_t users; /* in all */
    uint64_t connections;
    uint64_t count;     /* of members in this page */
    struct buf members; /* entries, joined by commas */
    struct buf next;    /* what to give as after for the next page; empty: this was the last one */
    struct buf changed; /* who has left with a node that died (presence_next_changed) */
    char bytes[];
};

/* With room for so many items. Zeroed but for what makes it a request. */
struct presence_update *presence_update_create(size_t items);

/* For the broker: the user has come to the channel on its first connection on any node, or has left with the last. */
void presence_note_changed(struct buf *changed, bool here, struct str user);
/* The next one. Start with *rest as the whole text. False: there is none left. */
bool presence_next_changed(struct str *rest, bool *out_here, struct str *out_user);

/* Copies the texts. command_id: of the command that asks; empty: none. */
struct presence_read *presence_read_create(const struct presence_policy *policy, struct str channel, struct str after,
                                           uint64_t limit, struct str command_id);

static inline struct presence_read *presence_read_of(struct request *request)
{
    return CONTAINER_OF(request, struct presence_read, base);
}

/* For the broker: adds a member to the answer. */
void presence_read_add(struct presence_read *read, struct str entry);
/* The answer, borrowed from the read. */
struct presence_page presence_read_page(const struct presence_read *read);

#endif
