/* truth.h - all publications of a run. For each it has the answer to its publisher, and every time that Redis ordered
 * it. Says what is wrong by world_fail. */
#ifndef CARILLON_TESTS_SIM_TRUTH_H
#define CARILLON_TESTS_SIM_TRUTH_H

#include "server/core/request.h"

enum { CHANNELS_MAX = 8 };

/* The channels of a run. */
struct sim_channel {
    const char *name;
    struct history_policy history;
    struct presence_policy presence;
    bool turns; /* reloads give its rule the history and take it */
};
extern const struct sim_channel sim_channels[];
extern const size_t sim_channel_count;
extern const size_t sim_busy_count; /* the first ones: events are published on them */
/* SIZE_MAX: not one of them. */
size_t sim_channel_find(struct str name);

void truth_begin(void);
void truth_end(void);

/* --- publishers --- */
/* A new publication; its event's data is {"n":NUMBER}. */
uint64_t truth_publish(size_t channel, bool with_id);
size_t truth_channel(uint64_t number);
/* Its event_id; empty if it has none. Valid until the next call. */
struct str truth_event_id(uint64_t number);
/* It is on its way, once more; one of the next three follows. */
void truth_attempt(uint64_t number);
void truth_acknowledged(uint64_t number, struct str id, struct str epoch, uint64_t offset, bool duplicate);
/* The publisher was told that nothing was published. */
void truth_refused(uint64_t number);
/* Nobody knows. */
void truth_unknown(uint64_t number);
/* Redis has it, or does not have it any more, in the ingest stream, and so promises to order it. */
void truth_note_stored(uint64_t number, bool stored);
/* Where among all that was ordered it is, unless that is lost; SIZE_MAX: nowhere. */
size_t truth_position(uint64_t number);
/* It was acknowledged, or cannot be tried again. */
bool truth_is_settled(uint64_t number);

/* --- Redis --- */
/* Hears every PUBLISH. */
void truth_ordered(struct str channel, struct str message);
/* So many have been ordered until now. */
size_t truth_mark(void);
/* Redis has lost what was ordered since that mark. */
void truth_lost_since(size_t mark);
/* The same of one channel's history, under the nodes' connections (all: of all). */
void truth_deleted(size_t channel);
void truth_deleted_all(void);
/* Redis has lost one of the keys in which its presence lies. */
void truth_presence_lost(size_t channel);
/* That has happened; nobody may have looked since. */
bool truth_is_presence_lost(size_t channel);
/* Hears every write that Redis refuses. */
void truth_write_refused(struct str key);

/* --- subscribers --- */
/* How often the event was ordered at that position; epoch empty: in any. Those that were lost later count. */
unsigned truth_count(size_t channel, struct str epoch, uint64_t offset, uint64_t number);
/* The record of what was ordered last at that position (that publication; ANY_NUMBER: any); 0: none. */
#define ANY_NUMBER UINT64_MAX
size_t truth_record(size_t channel, struct str epoch, uint64_t offset, uint64_t number);
/* Whether that record, of the position before this one, was still there when this publication was ordered at this
 * position. True for no record. */
bool truth_follows(size_t channel, struct str epoch, uint64_t offset, uint64_t number, size_t record);
/* How often the event was ordered, wherever. */
unsigned truth_times(size_t channel, uint64_t number);
/* Redis has refused to begin an epoch for it, or to write it at all, not long ago: a node may not know one yet. */
bool truth_may_lack_epoch(size_t channel);
/* The record (truth_record) of an event that was ordered there (that publication; ANY_NUMBER: any) and does not go to
 * this session. 0: there is none. */
size_t truth_excluded(size_t channel, struct str epoch, uint64_t offset, uint64_t number, const char *session);
/* Counts the events since the mark, in the channel's order. Those in the set of numbers (a byte each) are left out, and
 * those that do not go to the session. *out_number is one that was counted. */
size_t truth_count_missing(size_t channel, size_t mark, const char *session, const unsigned char *seen,
                           size_t seen_count, uint64_t *out_number);
/* Whether Redis still has all events after that position. record is that of the position (truth_record). provably:
 * Redis can also tell that the position is that event's. */
bool truth_can_recover(size_t channel, struct str epoch, uint64_t offset, size_t record, bool provably);

/* At the end: what Redis holds is what was acknowledged. */
void truth_check(void);
/* It may have no position: its keys have been deleted. */
bool truth_is_deleted(size_t channel);
/* The channel's last position. False if it has none. */
bool truth_head(size_t channel, struct str *out_epoch, uint64_t *out_offset);

#endif
