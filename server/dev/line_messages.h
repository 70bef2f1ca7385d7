/* line_messages.h - finds the rule that a message matches, and does to the message what the rule says. One thread. */
#ifndef CARILLON_DEV_LINE_MESSAGES_H
#define CARILLON_DEV_LINE_MESSAGES_H

#include "server/dev/frame_facts.h"
#include "server/dev/out_frame.h"

struct fault_rule;
struct line;
struct lost_answer;

/* What is to happen to one message. Both NULL: nothing. */
struct fault_verdict {
    struct fault_rule *rule;
    struct lost_answer *lost; /* it is the answer that a rule has promised to lose */
    struct frame_facts facts;
};

/* Some rule, or a promise to lose an answer, may be about messages that go out. */
bool line_messages_are_watched(const struct line *line);
/* Zeroed facts in *out need no fini. */
void line_messages_match(struct line *line, const struct out_frame *frame, struct fault_verdict *out);
/* Sends the frame as the verdict says. */
void line_messages_send(struct line *line, const struct out_frame *frame, const struct fault_verdict *verdict);

/* A message has come from the client. */
void line_messages_take(struct line *line, enum ws_opcode opcode, struct str payload);

/* Forgets which answers were to be lost. */
void line_messages_forget(struct line *line);

#endif
