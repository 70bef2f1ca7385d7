/* journal.h - what has happened, as lines in one total order. The newest lines are kept in memory, up to a number of
 * lines and of bytes. The journal is the one source for the terminal, for GET /dev/v1/journal, and for those who wait
 * for something. One thread. */
#ifndef CARILLON_DEV_JOURNAL_H
#define CARILLON_DEV_JOURNAL_H

#include "common/base/buf.h"
#include "common/base/list.h"

enum journal_kind {
#define JOURNAL_KIND(name, text, direction) JOURNAL_##name,
#include "server/dev/journal_kinds.def"
#undef JOURNAL_KIND
    JOURNAL_KINDS,
};

const char *journal_kind_text(enum journal_kind kind);
const char *journal_direction(enum journal_kind kind); /* "in", "out" or "sys" */
/* JOURNAL_KINDS for a name that is none. */
enum journal_kind journal_kind_of(struct str name);

enum { JOURNAL_LINES = 10000, JOURNAL_BYTES = 64 * 1024 * 1024 };

/* A session, as many lines tell of it: they share its texts. */
struct journal_party {
    struct list_link link; /* in journal->ended, once the session has ended */
    uint64_t last;         /* n of the newest line then: no later one tells of it */
    struct str session;    /* its uuid */
    struct str user;
    char bytes[];
};

/* What happened, and to whom. All texts are borrowed, UTF-8 but for the frame, and empty where there is none. */
struct journal_note {
    enum journal_kind kind;
    struct str session; /* its uuid */
    struct str user;
    struct str channel;
    struct str frame; /* a message as it was sent or received */
    bool binary;      /* the frame is no text */
    struct str text;  /* a sentence or a word: why a client was refused, what a rule did */
    int code;         /* of a close frame, or the HTTP status of a refusal; 0: none */
    struct str rule;  /* its id */
};

/* What lines tell. The lines of a message that went to many sessions one after the other share it. */
struct journal_body {
    unsigned refs;
    unsigned lines; /* that are kept, of those references */
    size_t size;
    struct journal_note note;
    char bytes[];
};

/* A line as it is kept. It is small: an event that goes to many sessions makes as many lines. */
struct journal_entry {
    struct journal_body *body;   /* a reference */
    struct journal_party *party; /* whom it tells of; NULL: the body says so */
    uint64_t at_ms;
};

/* A line to be read. Its texts are borrowed from the journal until a line is added or dropped. */
struct journal_line {
    struct journal_note note;
    uint64_t n;     /* counts from 1, and does not start again when the journal is emptied */
    uint64_t at_ms; /* wall clock of the turn */
};

/* Hears of each line when it is added. It may read the journal, and must not add to it. line: NULL while the journal is
 * muted. */
struct journal_listener {
    struct list_link link;
    void (*hear)(struct journal_listener *listener, const struct journal_line *line);
};

struct journal {
    struct journal_entry entries[JOURNAL_LINES];
    size_t first; /* place of the oldest */
    size_t count;
    size_t bytes;           /* of bodies */
    uint64_t last;          /* n of the newest line ever; 0: none yet */
    uint64_t emptied;       /* n of the newest line when the journal was emptied; 0: never */
    unsigned era;           /* how often it has been rewound */
    bool muted;             /* what is added is not kept */
    struct list_link ended; /* parties of which lines may still tell, in the order of their ends */
    struct list_link listeners;
};

void journal_init(struct journal *journal);
void journal_fini(struct journal *journal);

void journal_add(struct journal *journal, uint64_t at_ms, const struct journal_note *note);

/* With one reference, for the caller. */
struct journal_body *journal_body_create(const struct journal_note *note);
/* May be NULL. */
void journal_body_unref(struct journal_body *body);
struct journal_party *journal_party_create(struct str session, struct str user);
/* No more lines are added of the party. It is freed when none is kept. */
void journal_party_end(struct journal *journal, struct journal_party *party);
/* A line with this body, of this party. body may be NULL while the journal is muted. */
void journal_add_of(struct journal *journal, uint64_t at_ms, struct journal_party *party, struct journal_body *body);

/* Lines that are added are lost until journal_rewind. Call it where nobody could read them (journal_is_heard). */
void journal_mute(struct journal *journal);
/* True if there is a listener. */
bool journal_is_heard(const struct journal *journal);
/* Forgets all lines. */
void journal_empty(struct journal *journal);
/* Forgets all lines, counts from 1 again, and is no longer muted. */
void journal_rewind(struct journal *journal);

/* The oldest line that is kept and has a greater n. False: there is none. */
bool journal_after(const struct journal *journal, uint64_t n, struct journal_line *out);

/* How many lines with a greater n newer ones have pushed out. Lines that journal_empty has forgotten do not count. */
uint64_t journal_gone(const struct journal *journal, uint64_t n);
/* Appends a sentence about so many lines. */
void journal_append_gone(struct buf *out, uint64_t gone);

/* The listener is borrowed until list_remove(&listener->link). It may be removed while it hears. */
void journal_listen(struct journal *journal, struct journal_listener *listener);

/* Appends the line as one JSON object, without a line feed. Line breaks between the tokens of its frame are spaces. */
void journal_print(struct buf *out, const struct journal_line *line);

#endif
