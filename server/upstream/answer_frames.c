/* answer_frames.c - see answer_frames.h. */
#include "server/upstream/answer_frames.h"

/* What a line may have besides its frame: a byte order mark, "data: ", the CR of its end. */
enum { LINE_EXTRA = 16 };

enum answer_kind answer_kind_of(struct str content_type)
{
    static const struct {
        struct str type;
        enum answer_kind kind;
    } known[] = {
        {{"application/x-ndjson", 20}, ANSWER_LINES},      {{"application/ndjson", 18}, ANSWER_LINES},
        {{"application/jsonl", 17}, ANSWER_LINES},         {{"application/x-jsonlines", 23}, ANSWER_LINES},
        {{"text/event-stream", 17}, ANSWER_EVENTS},        {{"application/json", 16}, ANSWER_TEXT},
        {{"application/octet-stream", 24}, ANSWER_BINARY},
    };
    struct str rest = content_type;
    struct str type = str_trim(str_split(&rest, ';'));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eq_nocase(type, known[i].type))
            return known[i].kind;
    const struct str json = STR("+json");
    if (type.len > 5 && str_eq_nocase(str_from(type.ptr, 5), STR("text/")))
        return ANSWER_TEXT;
    if (type.len > 6 && str_eq_nocase(str_from(type.ptr, 6), STR("audio/")))
        return ANSWER_BINARY;
    if (type.len > json.len && str_eq_nocase(str_skip(type, type.len - json.len), json))
        return ANSWER_TEXT;
    return ANSWER_OTHER;
}

void answer_frames_fini(struct answer_frames *frames)
{
    buf_fini(&frames->line);
    buf_fini(&frames->data);
}

static enum answer_result too_large(const struct answer_frames *frames, struct error *error)
{
    error_set(error, ERR_TOO_LARGE, "a frame of the answer is over %zu bytes", frames->frame_max);
    return ANSWER_BAD;
}

static enum answer_result give(struct answer_frames *frames, struct str frame, struct str *out_frame,
                               struct error *error)
{
    if (frame.len > frames->frame_max)
        return too_large(frames, error);
    if (frames->kind != ANSWER_BINARY && !str_is_utf8(frame)) {
        error_set(error, ERR_INTERNAL_ERROR, "the answer is text by its content type, but not UTF-8");
        return ANSWER_BAD;
    }
    *out_frame = frame;
    frames->taken = true;
    return ANSWER_FRAME;
}

/* The frame that was returned last has been used. */
static void forget_taken(struct answer_frames *frames)
{
    if (!frames->taken)
        return;
    frames->taken = false;
    buf_clear(&frames->line);
    buf_clear(&frames->data);
    frames->has_data = false;
}

static struct str without_mark(struct answer_frames *frames, struct str line)
{
    bool first = !frames->begun;
    frames->begun = true;
    return first && str_starts_with(line, STR("\xef\xbb\xbf")) ? str_skip(line, 3) : line;
}

/* A line of an event stream. True: the event is whole. */
static bool take_event_line(struct answer_frames *frames, struct str line)
{
    if (line.len == 0)
        return frames->has_data;
    struct str rest = line;
    struct str name = str_split(&rest, ':');
    if (!str_eq(name, STR("data"))) /* event, id, retry, a comment: the client gets none of them */
        return false;
    struct str value = rest.ptr ? rest : STR("");
    if (value.len && value.ptr[0] == ' ')
        value = str_skip(value, 1);
    if (frames->has_data)
        buf_append_char(&frames->data, '\n');
    buf_append(&frames->data, value);
    frames->has_data = true;
    return false;
}

/* The line is whole, without its end. ANSWER_MORE: no frame is. */
static enum answer_result end_line(struct answer_frames *frames, struct str line, struct str *out_frame,
                                   struct error *error)
{
    line = without_mark(frames, line);
    if (frames->kind == ANSWER_EVENTS) {
        bool whole = take_event_line(frames, line);
        buf_clear(&frames->line);
        if (frames->data.len > frames->frame_max)
            return too_large(frames, error);
        return whole ? give(frames, buf_str(&frames->data), out_frame, error) : ANSWER_MORE;
    }
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (str_trim(line).len)
        return give(frames, line, out_frame, error);
    buf_clear(&frames->line);
    return ANSWER_MORE;
}

/* The length of the line at the beginning of bytes without its end; bytes.len if it has none. */
static size_t line_length(const struct answer_frames *frames, struct str bytes)
{
    const char *lf = memchr(bytes.ptr, '\n', bytes.len);
    size_t len = lf ? (size_t)(lf - bytes.ptr) : bytes.len;
    const char *cr = frames->kind == ANSWER_EVENTS ? memchr(bytes.ptr, '\r', len) : NULL;
    return cr ? (size_t)(cr - bytes.ptr) : len;
}

static enum answer_result next_line(struct answer_frames *frames, struct str *bytes, struct str *out_frame,
                                    struct error *error)
{
    while (bytes->len) {
        if (frames->after_cr && bytes->ptr[0] == '\n')
            *bytes = str_skip(*bytes, 1);
        frames->after_cr = false;
        if (!bytes->len)
            break;
        size_t len = line_length(frames, *bytes);
        bool whole = len < bytes->len;
        struct str part = str_from(bytes->ptr, len);
        if (frames->line.len + len > frames->frame_max + LINE_EXTRA)
            return too_large(frames, error);
        if (!whole || frames->line.len)
            buf_append(&frames->line, part);
        frames->after_cr = whole && bytes->ptr[len] == '\r';
        *bytes = str_skip(*bytes, whole ? len + 1 : len);
        if (!whole)
            break;
        enum answer_result result =
            end_line(frames, frames->line.len ? buf_str(&frames->line) : part, out_frame, error);
        if (result != ANSWER_MORE)
            return result;
    }
    return ANSWER_MORE;
}

enum answer_result answer_next(struct answer_frames *frames, struct str *bytes, struct str *out_frame,
                               struct error *error)
{
    forget_taken(frames);
    if (frames->kind == ANSWER_LINES || frames->kind == ANSWER_EVENTS)
        return next_line(frames, bytes, out_frame, error);
    if (frames->line.len + bytes->len > frames->frame_max)
        return too_large(frames, error);
    buf_append(&frames->line, *bytes);
    *bytes = str_skip(*bytes, bytes->len);
    return ANSWER_MORE;
}

enum answer_result answer_end(struct answer_frames *frames, struct str *out_frame, struct error *error)
{
    forget_taken(frames);
    if (frames->kind == ANSWER_LINES || frames->kind == ANSWER_EVENTS) {
        if (frames->line.len) {
            enum answer_result result = end_line(frames, buf_str(&frames->line), out_frame, error);
            if (result != ANSWER_MORE)
                return result;
        }
        return frames->has_data ? give(frames, buf_str(&frames->data), out_frame, error) : ANSWER_MORE;
    }
    struct str all =
        frames->kind == ANSWER_TEXT ? without_mark(frames, buf_str(&frames->line)) : buf_str(&frames->line);
    return all.len ? give(frames, all, out_frame, error) : ANSWER_MORE;
}
