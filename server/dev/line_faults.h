/* line_faults.h - carries out the faults that happen to a session, and not to one message. One thread. */
#ifndef CARILLON_DEV_LINE_FAULTS_H
#define CARILLON_DEV_LINE_FAULTS_H

#include "common/base/str.h"

struct fault_action;
struct line;

/* What a fault is about, besides the line. The texts are borrowed. */
struct fault_cause {
    const char *rule;   /* its id; "": an order */
    struct str channel; /* of the message that a rule has matched; empty: none */
    struct str frame;   /* that message, if it is not in the journal otherwise */
};

/* Adds a line to the journal: the action has been done, or is done next. */
void line_faults_note(struct line *line, const struct fault_action *action, const struct fault_cause *cause);

/* Does the action, which is not ON_MESSAGE, and notes it. What the hub has a part in happens later in this turn: the
 * hub may be in the midst of a write. */
void line_faults_do(struct line *line, struct fault_action *action, const struct fault_cause *cause);

#endif
