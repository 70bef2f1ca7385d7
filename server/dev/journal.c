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

/* --- what lines share --------------------------------------------------------------------------------------------- */

struct journal_party *journal_party_create(struct str session, struct str user)
{
    struct journal_party *party = xmalloc(sizeof *party + session.len + user.len);
    char *at = party->bytes;
    *party = (struct journal_party){0};
    party->session = str_pack(&at, session);
    party->user = str_pack(&at, user);
    return party;
}

struct journal_body *journal_body_create(const struct journal_note *note)
{
    size_t size = sizeof(struct journal_body) + note->session.len + note->user.len + note->channel.len +
                  note->frame.len + note->text.len + note->rule.len;
    struct journal_body *body = xmalloc(size);
    char *at = body->bytes;
    *body = (struct journal_body){.refs = 1, .size = size, .note = *note};
    body->note.session = str_pack(&at, note->session);
    body->note.user = str_pack(&at, note->user);
    body->note.channel = str_pack(&at, note->channel);
    body->note.frame = str_pack(&at, note->frame);
    body->note.text = str_pack(&at, note->text);
    body->note.rule = str_pack(&at, note->rule);
    return body;
}

void journal_body_unref(struct journal_body *body)
{
    if (body && --body->refs == 0)
        free(body);
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

void journal_init(struct journal *journal)
{
    *journal = (struct journal){0};
    list_init(&journal->ended);
    list_init(&journal->listeners);
}

void journal_fini(struct journal *journal)
{
    journal_empty(journal);
}

/* Where in the entries that place is. place: at most JOURNAL_LINES. */
static size_t index_of(const struct journal *journal, size_t place)
{
    size_t index = journal->first + place;
    return index < JOURNAL_LINES ? index : index - JOURNAL_LINES;
}

static void read_entry(const struct journal *journal, size_t place, struct journal_line *out)
{
    const struct journal_entry *entry = &journal->entries[index_of(journal, place)];
    *out = (struct journal_line){
        .note = entry->body->note, .n = journal->last - journal->count + place + 1, .at_ms = entry->at_ms};
    if (entry->party) {
        out->note.session = entry->party->session;
        out->note.user = entry->party->user;
    }
}

/* Frees those of whom no line is kept. */
static void free_ended(struct journal *journal)
{
    while (!list_is_empty(&journal->ended)) {
        struct journal_party *party = CONTAINER_OF(journal->ended.next, struct journal_party, link);
        if (party->last > journal->last - journal->count)
            return;
        list_remove(&party->link);
        free(party);
    }
}

static void drop_oldest(struct journal *journal)
{
    struct journal_body *body = journal->entries[journal->first].body;
    journal->first = index_of(journal, 1);
    journal->count--;
    if (--body->lines == 0)
        journal->bytes -= body->size;
    journal_body_unref(body);
}

/* The oldest body has left the caches. It is fetched some lines before its line is dropped. */
static void fetch_oldest(struct journal *journal)
{
    enum { AHEAD = 6 };
    if (journal->count > AHEAD)
        __builtin_prefetch(journal->entries[index_of(journal, AHEAD)].body, 1);
}

static void make_room(struct journal *journal, size_t bytes)
{
    if (journal->count < JOURNAL_LINES && journal->bytes + bytes <= JOURNAL_BYTES)
        return;
    fetch_oldest(journal);
    while (journal->count == JOURNAL_LINES || (journal->count > 0 && journal->bytes + bytes > JOURNAL_BYTES))
        drop_oldest(journal);
    free_ended(journal);
}

static void tell(struct journal *journal, const struct journal_line *line)
{
    LIST_EACH(link, &journal->listeners)
    {
        struct journal_listener *listener = CONTAINER_OF(link, struct journal_listener, link);
        listener->hear(listener, line);
    }
}

void journal_add_of(struct journal *journal, uint64_t at_ms, struct journal_party *party, struct journal_body *body)
{
    if (journal->muted) {
        tell(journal, NULL);
        return;
    }
    body->refs++; /* before its other lines are dropped */
    make_room(journal, body->lines ? 0 : body->size);
    if (body->lines++ == 0)
        journal->bytes += body->size;
    journal->entries[index_of(journal, journal->count++)] =
        (struct journal_entry){.body = body, .party = party, .at_ms = at_ms};
    journal->last++;
    if (list_is_empty(&journal->listeners))
        return;
    struct journal_line line;
    read_entry(journal, journal->count - 1, &line);
    tell(journal, &line);
}

void journal_add(struct journal *journal, uint64_t at_ms, const struct journal_note *note)
{
    struct journal_body *body = journal->muted ? NULL : journal_body_create(note);
    journal_add_of(journal, at_ms, NULL, body);
    journal_body_unref(body);
}

void journal_party_end(struct journal *journal, struct journal_party *party)
{
    if (!party)
        return;
    party->last = journal->last;
    list_append(&journal->ended, &party->link);
    free_ended(journal);
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
    journal->emptied = journal->last;
    free_ended(journal);
}

void journal_rewind(struct journal *journal)
{
    journal_empty(journal);
    journal->last = journal->emptied = 0;
    journal->era++;
    journal->muted = false;
}

bool journal_after(const struct journal *journal, uint64_t n, struct journal_line *out)
{
    uint64_t dropped = journal->last - journal->count;
    if (n >= journal->last || journal->count == 0)
        return false;
    read_entry(journal, n < dropped ? 0 : (size_t)(n - dropped), out);
    return true;
}

uint64_t journal_gone(const struct journal *journal, uint64_t n)
{
    uint64_t dropped = journal->last - journal->count, from = n > journal->emptied ? n : journal->emptied;
    return dropped > from ? dropped - from : 0;
}

void journal_append_gone(struct buf *out, uint64_t gone)
{
    buf_appendf(out,
                "%llu lines have left the journal, which keeps %d lines and %d MiB; ask sooner, or reset between tests",
                (unsigned long long)gone, JOURNAL_LINES, JOURNAL_BYTES / 1024 / 1024);
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

/* A line break in checked JSON is white space between tokens: strings have escapes for it. */
static void append_on_one_line(struct buf *out, struct str json)
{
    size_t from = out->len;
    buf_append(out, json);
    for (size_t i = from; i < out->len; i++)
        if (out->ptr[i] == '\n' || out->ptr[i] == '\r')
            out->ptr[i] = ' ';
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
        append_on_one_line(out, value.raw);
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
