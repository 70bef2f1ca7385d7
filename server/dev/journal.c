/* journal.c - see journal.h. */
#include "server/dev/journal.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/json/json.h"

static const struct {
    const char *text;
    const char *direction;
} kinds[] = {
#define JOURNAL_KIND(name, text, direction) {text, direction},
#include "server/dev/journal_kinds.def"
#undef JOURNAL_KIND
};

const char *journal_kind_text(enum journal_kind kind)
{
    return kinds[kind].text;
}

const char *journal_direction(enum journal_kind kind)
{
    return kinds[kind].direction;
}

enum journal_kind journal_kind_of(struct str name)
{
    for (int kind = 0; kind < JOURNAL_KINDS; kind++)
        if (str_eq_cstr(name, kinds[kind].text))
            return (enum journal_kind)kind;
    return JOURNAL_KINDS;
}

struct journal_party *journal_party_create(struct str session, struct str user)
{
    struct journal_party *party = xmalloc(sizeof *party + session.len + user.len);
    char *at = party->bytes;
    party->refs = 1;
    party->session = str_pack(&at, session);
    party->user = str_pack(&at, user);
    return party;
}

void journal_party_unref(struct journal_party *party)
{
    if (party && --party->refs == 0)
        free(party);
}

struct journal_frame {
    unsigned refs;
    size_t len;
    char bytes[];
};

static void unref_frame(struct journal_frame *frame)
{
    if (frame && --frame->refs == 0)
        free(frame);
}

/* With a reference for the caller. *bytes grows by what is new. */
static struct journal_frame *share_frame(struct journal *journal, struct str text, size_t *bytes)
{
    struct journal_frame *frame = journal->frame;
    if (text.len == 0)
        return NULL;
    if (!frame || !str_eq(str_from(frame->bytes, frame->len), text)) {
        unref_frame(frame);
        frame = journal->frame = xmalloc(sizeof *frame + text.len);
        frame->refs = 1;
        frame->len = text.len;
        memcpy(frame->bytes, text.ptr, text.len);
        *bytes += sizeof *frame + text.len;
    }
    frame->refs++;
    return frame;
}

void journal_init(struct journal *journal)
{
    *journal = (struct journal){0};
    list_init(&journal->listeners);
}

void journal_fini(struct journal *journal)
{
    journal_empty(journal);
    unref_frame(journal->frame);
}

static struct journal_line *line_at(const struct journal *journal, size_t place)
{
    return journal->lines[(journal->first + place) % JOURNAL_LINES];
}

static void drop_oldest(struct journal *journal)
{
    struct journal_line *oldest = line_at(journal, 0);
    journal->bytes -= oldest->bytes;
    journal->first = (journal->first + 1) % JOURNAL_LINES;
    journal->count--;
    unref_frame(oldest->frame);
    journal_party_unref(oldest->note.party);
    free(oldest);
}

static struct journal_line *line_create(struct journal *journal, const struct journal_note *note)
{
    struct journal_party *party = note->party;
    size_t bytes = sizeof(struct journal_line) + note->channel.len + note->text.len + note->rule.len;
    bytes += party ? 0 : note->session.len + note->user.len;
    struct journal_line *line = xmalloc(bytes);
    char *at = (char *)(line + 1);
    line->note = *note;
    line->note.session = party ? party->session : str_pack(&at, note->session);
    line->note.user = party ? party->user : str_pack(&at, note->user);
    line->note.channel = str_pack(&at, note->channel);
    line->note.text = str_pack(&at, note->text);
    line->note.rule = str_pack(&at, note->rule);
    line->frame = share_frame(journal, note->frame, &bytes);
    line->note.frame = line->frame ? str_from(line->frame->bytes, line->frame->len) : STR("");
    line->bytes = bytes;
    if (party)
        party->refs++;
    return line;
}

/* The oldest lines have left the caches. Each is fetched some lines before it is dropped, and then its party. All of it
 * is fetched, to be written to: the memory of a line that is dropped is that of the next line. */
static void fetch_oldest(const struct journal *journal)
{
    enum { LINE_AHEAD = 6, PARTY_AHEAD = 3, CACHE_LINE = 64 };
    if (journal->count <= LINE_AHEAD)
        return;
    const char *line = (const char *)line_at(journal, LINE_AHEAD);
    for (size_t at = 0; at < sizeof(struct journal_line); at += CACHE_LINE)
        __builtin_prefetch(line + at, 1);
    __builtin_prefetch(line_at(journal, PARTY_AHEAD)->note.party, 1);
}

static void tell(struct journal *journal, const struct journal_line *line)
{
    LIST_EACH(link, &journal->listeners)
    {
        struct journal_listener *listener = CONTAINER_OF(link, struct journal_listener, link);
        listener->hear(listener, line);
    }
}

void journal_add(struct journal *journal, uint64_t at_ms, const struct journal_note *note)
{
    if (journal->muted) {
        tell(journal, NULL);
        return;
    }
    fetch_oldest(journal);
    struct journal_line *line = line_create(journal, note);
    line->n = ++journal->last;
    line->at_ms = at_ms;
    while (journal->count == JOURNAL_LINES || (journal->count > 0 && journal->bytes + line->bytes > JOURNAL_BYTES))
        drop_oldest(journal);
    journal->lines[(journal->first + journal->count) % JOURNAL_LINES] = line;
    journal->count++;
    journal->bytes += line->bytes;
    tell(journal, line);
}

void journal_mute(struct journal *journal)
{
    journal->muted = true;
}

bool journal_is_heard(const struct journal *journal)
{
    return !list_is_empty(&journal->listeners);
}

void journal_empty(struct journal *journal)
{
    while (journal->count > 0)
        drop_oldest(journal);
}

void journal_rewind(struct journal *journal)
{
    journal_empty(journal);
    journal->last = 0;
    journal->era++;
    journal->muted = false;
}

const struct journal_line *journal_after(const struct journal *journal, uint64_t n)
{
    if (journal->count == 0 || n >= journal->last)
        return NULL;
    uint64_t oldest = line_at(journal, 0)->n;
    return line_at(journal, n < oldest ? 0 : (size_t)(n - oldest) + 1);
}

void journal_listen(struct journal *journal, struct journal_listener *listener)
{
    list_append(&journal->listeners, &listener->link);
}

static void print_text(struct buf *out, const char *name, struct str text)
{
    if (text.len == 0)
        return;
    buf_appendf(out, ",\"%s\":", name);
    json_append_string(out, text);
}

/* As JSON where the frame is JSON, else as text. Of bytes that are no text only the length is told. */
static void print_frame(struct buf *out, const struct journal_note *note)
{
    struct json_value value;
    if (note->binary) {
        buf_appendf(out, ",\"bytes\":%zu", note->frame.len);
        return;
    }
    if (note->frame.len == 0)
        return;
    buf_append_lit(out, ",\"frame\":");
    if (json_check(note->frame, NULL, &value, NULL) == ERR_NONE)
        buf_append(out, value.raw);
    else
        json_append_string(out, note->frame);
}

void journal_print(struct buf *out, const struct journal_line *line)
{
    const struct journal_note *note = &line->note;
    char at[CLOCK_RFC3339_LEN + 1];
    clock_format(line->at_ms, at);
    buf_appendf(out, "{\"n\":%llu,\"at\":\"%s\",\"dir\":\"%s\",\"kind\":\"%s\"", (unsigned long long)line->n, at,
                journal_direction(note->kind), journal_kind_text(note->kind));
    print_text(out, "session", note->session);
    print_text(out, "user", note->user);
    print_text(out, "channel", note->channel);
    if (note->code)
        buf_appendf(out, ",\"code\":%d", note->code);
    print_text(out, "text", note->text);
    print_text(out, "rule", note->rule);
    print_frame(out, note);
    buf_append_char(out, '}');
}
