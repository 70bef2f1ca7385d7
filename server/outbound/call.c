/* call.c - makes a call of a request: one allocation with all texts. Checks what goes into the request head, so that no
 * text of a client can end a line of it. */
#include "common/base/alloc.h"
#include "server/outbound/outbound_private.h"

static bool is_mark(char c)
{
    static const char marks[] = "!#$%&'*+.^_`|~";
    return c != '\0' && strchr(marks, c);
}

/* RFC 9110, 5.6.2: token. */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!is_letter && c != '-' && !(c >= '0' && c <= '9') && !is_mark(c))
            return false;
    }
    return s.len > 0;
}

static bool is_graphic(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((s.ptr[i] < 0x20 && s.ptr[i] != '\t') || s.ptr[i] > 0x7e)
            return false;
    return true;
}

/* Visible ASCII, spaces and tabs. Other bytes are possible in HTTP, but each program reads them in its own way. Eight
 * bytes at a time. A word with a tab, or with what is not allowed, is looked at byte by byte. */
static bool is_value(struct str s)
{
    const uint64_t each = UINT64_C(0x0101010101010101), high = each * 0x80;
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= s.len; i += sizeof word) {
        memcpy(&word, s.ptr + i, sizeof word);
        uint64_t below_space = word - each * 0x20, above_tilde = word + each;
        if ((word | below_space | above_tilde) & high && !is_graphic(str_from(s.ptr + i, sizeof word)))
            return false;
    }
    return is_graphic(str_skip(s, i));
}

static bool is_suffix(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= 0x20 || s.ptr[i] > 0x7e || s.ptr[i] == '?' || s.ptr[i] == '#')
            return false;
    return true;
}

/* Fields that say how the request is carried. */
static bool is_own_field(struct str name)
{
    static const struct str own[] = {{"host", 4},        {"content-length", 14}, {"transfer-encoding", 17},
                                     {"connection", 10}, {"expect", 6},          {"upgrade", 7},
                                     {"te", 2},          {"trailer", 7},         {"keep-alive", 10}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (str_eq_nocase(name, own[i]))
            return true;
    return false;
}

static enum err check(const struct outbound_request *request, struct error *error)
{
    char quote[ERROR_QUOTE_LEN];
    if (!is_token(request->method) || str_eq(request->method, STR("HEAD")) || str_eq(request->method, STR("CONNECT")))
        return error_set(error, ERR_INVALID_REQUEST, "the method %s cannot be sent to an upstream",
                         error_quote(request->method, quote));
    if (!is_suffix(request->suffix))
        return error_set(error, ERR_INVALID_REQUEST,
                         "the path %s of a request to an upstream has a character that must be percent-encoded",
                         error_quote(request->suffix, quote));
    for (size_t i = 0; i < request->field_count; i++) {
        const struct outbound_field *field = &request->fields[i];
        if (!is_token(field->name) || is_own_field(field->name))
            return error_set(error, ERR_INVALID_REQUEST, "the field %s cannot be sent to an upstream",
                             error_quote(field->name, quote));
        if (!is_value(field->value))
            return error_set(error, ERR_INVALID_REQUEST,
                             "the value of %.*s for an upstream has a character that is not printable ASCII",
                             STR_ARG(field->name));
    }
    return ERR_NONE;
}

/* libcurl takes a list of lines: "Name: value". "Name;" is a field without a value, "Name:" means that libcurl adds no
 * such field of its own. */
static char *pack_field(char **at, const struct outbound_field *field)
{
    char *line = *at;
    str_pack(at, field->name);
    if (field->value.len == 0) {
        pack_text(at, STR(";"));
    } else {
        str_pack(at, STR(": "));
        pack_text(at, field->value);
    }
    return line;
}

static struct curl_slist *pack_fields(struct curl_slist *nodes, char **at, const struct outbound_request *request)
{
    static char no_expect_line[] = "Expect:", no_type_line[] = "Content-Type:", no_accept_line[] = "Accept:";
    size_t count = 0;
    bool has_type = false;
    for (size_t i = 0; i < request->field_count; i++) {
        has_type |= str_eq_nocase(request->fields[i].name, STR("content-type"));
        nodes[count++].data = pack_field(at, &request->fields[i]);
    }
    nodes[count++].data = no_expect_line;
    nodes[count++].data = no_accept_line;
    if (!has_type)
        nodes[count++].data = no_type_line;
    for (size_t i = 0; i < count; i++)
        nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
    return nodes;
}

enum err call_make(struct outbound *outbound, const struct outbound_request *request, struct outbound_call **out,
                   struct error *error)
{
    enum { NODES_OWN = 3, LINE_OWN = 3 };
    enum err err = check(request, error);
    if (err)
        return err;
    size_t nodes = request->field_count + NODES_OWN;
    size_t len = request->method.len + request->suffix.len + request->body.len + request->id.len + 4;
    for (size_t i = 0; i < request->field_count; i++)
        len += request->fields[i].name.len + request->fields[i].value.len + LINE_OWN;
    struct outbound_call *call = xmalloc(sizeof *call + nodes * sizeof(struct curl_slist) + len);
    *call = (struct outbound_call){
        .outbound = outbound,
        .target = outbound_target_ref(request->target),
        .reply_to = request->reply_to,
        .ops = request->ops,
        .owner = request->owner,
    };
    atomic_init(&call->refs, 1);
    struct curl_slist *list = (struct curl_slist *)(void *)(call + 1);
    char *at = (char *)(list + nodes);
    call->fields = pack_fields(list, &at, request);
    call->method = pack_text(&at, request->method);
    call->suffix = pack_text(&at, request->suffix);
    call->id = pack_text(&at, request->id);
    call->body = pack_text(&at, request->body);
    *out = call;
    return ERR_NONE;
}
