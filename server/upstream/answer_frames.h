/* answer_frames.h - a backend's answer, cut into the frames that the client gets. The answer comes in parts of any
 * length. Its content type says how it is cut:
 *
 *   text, application/json and the like        one text frame: the whole answer
 *   application/octet-stream, audio            one binary frame: the whole answer
 *   application/x-ndjson, application/jsonl    a text frame for each line that is not empty
 *   text/event-stream                          a text frame for the data of each event (the HTML standard, 9.2.6)
 *
 * Lines end with LF, CR LF or, in an event stream, CR. An answer that ends without the end of its last line or event
 * ends it all the same. At most frame_max bytes are held. Pure; one thread. */
#ifndef CARILLON_UPSTREAM_ANSWER_FRAMES_H
#define CARILLON_UPSTREAM_ANSWER_FRAMES_H

#include "common/base/buf.h"
#include "common/base/error.h"

enum answer_kind {
    ANSWER_TEXT,
    ANSWER_BINARY,
    ANSWER_LINES,
    ANSWER_EVENTS,
    ANSWER_OTHER, /* a content type that no frame is made of */
};

/* Parameters and case do not count. An answer without a content type is ANSWER_OTHER. */
enum answer_kind answer_kind_of(struct str content_type);

struct answer_frames {
    enum answer_kind kind;
    size_t frame_max; /* bytes of one frame, and of one line */
    struct buf line;  /* the begun line, or the whole answer */
    struct buf data;  /* ANSWER_EVENTS: the data of the begun event */
    bool has_data;    /* ANSWER_EVENTS */
    bool after_cr;    /* the last byte was the CR of an event stream: an LF belongs to it */
    bool begun;       /* a line has ended: no byte order mark may come any more */
    bool taken;       /* the frame that was returned last lies in line or data */
};

enum answer_result {
    ANSWER_MORE,  /* all bytes have been taken */
    ANSWER_FRAME, /* *out_frame is valid until the next call; call again with the rest */
    ANSWER_BAD,   /* too large, or not UTF-8: *error says it; the rest is of no use */
};

/* Takes bytes from the front of *bytes, until a frame is whole. An empty answer has no frame. */
enum answer_result answer_next(struct answer_frames *frames, struct str *bytes, struct str *out_frame,
                               struct error *error);
/* The answer has ended. Call until it returns ANSWER_MORE. */
enum answer_result answer_end(struct answer_frames *frames, struct str *out_frame, struct error *error);
void answer_frames_fini(struct answer_frames *frames);

#endif
