/* ws_request.c - see ws_request.h. libwebsockets unescapes and normalizes the target and keeps the query in fragments,
 * split at '&' and ';'. */
#include "server/net/ws_request.h"

#include <libwebsockets.h>

/* What of Sec-WebSocket-Protocol lws takes (lws_process_ws_upgrade): so much in all, and so much of a name before ours.
 * It drops the connection else. */
enum { OFFER_MAX = 126, OFFER_NAME_MAX = 63 };

static const struct {
    enum lws_token_indexes token;
    const char *method;
} targets[] = {
    {WSI_TOKEN_GET_URI, "GET"},         {WSI_TOKEN_POST_URI, "POST"}, {WSI_TOKEN_HEAD_URI, "HEAD"},
    {WSI_TOKEN_OPTIONS_URI, "OPTIONS"}, {WSI_TOKEN_PUT_URI, "PUT"},   {WSI_TOKEN_PATCH_URI, "PATCH"},
    {WSI_TOKEN_DELETE_URI, "DELETE"},
};

static const struct {
    enum lws_token_indexes token;
    const char *name;
} headers[] = {
    {WSI_TOKEN_HOST, "Host"},
    {WSI_TOKEN_CONNECTION, "Connection"},
    {WSI_TOKEN_UPGRADE, "Upgrade"},
    {WSI_TOKEN_KEY, "Sec-WebSocket-Key"},
    {WSI_TOKEN_VERSION, "Sec-WebSocket-Version"},
    {WSI_TOKEN_PROTOCOL, "Sec-WebSocket-Protocol"},
    {WSI_TOKEN_ORIGIN, "Origin"},
    {WSI_TOKEN_HTTP_AUTHORIZATION, "Authorization"},
    {WSI_TOKEN_X_FORWARDED_FOR, "X-Forwarded-For"},
    {WSI_TOKEN_HTTP_CONTENT_LENGTH, "Content-Length"},
    {WSI_TOKEN_HTTP_TRANSFER_ENCODING, "Transfer-Encoding"},
};

/* The value in *scratch. False: there is none. */
static bool take_value(struct lws *wsi, enum lws_token_indexes token, struct buf *scratch)
{
    int total = lws_hdr_total_length(wsi, token);
    buf_clear(scratch);
    if (total <= 0)
        return false;
    buf_reserve(scratch, (size_t)total + 2);
    int len = lws_hdr_copy(wsi, scratch->ptr, total + 2, token);
    scratch->len = len > 0 ? (size_t)len : 0;
    return len > 0;
}

static void append_escaped(struct buf *out, struct str text, bool in_query)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c <= ' ' || c > '~' || strchr("%#", c) || (in_query ? strchr("&+", c) : strchr("?", c)))
            buf_appendf(out, "%%%02X", (unsigned char)c);
        else
            buf_append_char(out, c);
    }
}

static void append_query(struct lws *wsi, struct buf *scratch, struct buf *out)
{
    int total = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS);
    char separator = '?';
    if (total <= 0)
        return;
    buf_clear(scratch);
    buf_reserve(scratch, (size_t)total + 2);
    for (int i = 0, len; (len = lws_hdr_copy_fragment(wsi, scratch->ptr, total + 2, WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0;
         i++) {
        buf_append_char(out, separator);
        append_escaped(out, str_from(scratch->ptr, (size_t)len), true);
        separator = '&';
    }
}

static bool append_request_line(struct lws *wsi, struct buf *scratch, struct buf *out)
{
    size_t i = 0, n = sizeof targets / sizeof targets[0];
    while (i < n && !take_value(wsi, targets[i].token, scratch))
        i++;
    if (i == n)
        return false;
    buf_append(out, str_from_cstr(targets[i].method));
    buf_append_char(out, ' ');
    append_escaped(out, buf_str(scratch), false);
    append_query(wsi, scratch, out);
    bool old = take_value(wsi, WSI_TOKEN_HTTP, scratch) && str_eq(buf_str(scratch), STR("HTTP/1.0"));
    buf_append(out, old ? STR(" HTTP/1.0\r\n") : STR(" HTTP/1.1\r\n"));
    return true;
}

/* A line break in a value would begin a header of the client's own making. */
static bool is_one_line(struct str value)
{
    return !memchr(value.ptr, '\r', value.len) && !memchr(value.ptr, '\n', value.len);
}

/* Appends request line, the headers that decide anything, and the empty line. What lws has decoded is encoded again; a
 * header that came more than once comes as one, joined by commas. False: it has no target, or more lines than it
 * should. */
static bool write_request(struct lws *wsi, struct buf *out)
{
    struct buf scratch = {0};
    bool good = append_request_line(wsi, &scratch, out);
    for (size_t i = 0; good && i < sizeof headers / sizeof headers[0]; i++) {
        if (!take_value(wsi, headers[i].token, &scratch))
            continue;
        good = is_one_line(buf_str(&scratch));
        buf_append(out, str_from_cstr(headers[i].name));
        buf_append_lit(out, ": ");
        buf_append(out, buf_str(&scratch));
        buf_append_lit(out, "\r\n");
    }
    buf_append_lit(out, "\r\n");
    buf_fini(&scratch);
    return good;
}

/* Would lws select carillon.v1 from what the client offers, or go without? */
static bool offer_is_taken(const struct http_head *head)
{
    struct http_list at = {0};
    struct str value, item;
    if (!http_head_find(head, STR("sec-websocket-protocol"), &value))
        return true;
    while (value.len <= OFFER_MAX && http_fields_next(&head->fields, STR("sec-websocket-protocol"), &at, &item)) {
        if (str_eq(item, STR(ADMISSION_PROTOCOL)))
            return true;
        if (item.len > OFFER_NAME_MAX)
            return false;
    }
    return false;
}

static void refuse_form(struct admission *out, int status, enum err code, const char *text)
{
    out->outcome = REFUSED_HTTP;
    out->reason = REASON_NONE;
    out->status = status;
    out->retry_after_s = 0;
    error_set(&out->error, code, "%s", text);
}

static void judge(struct applicant *applicant, struct str request, struct admission *out, struct address *out_client,
                  bool *out_head_only)
{
    struct worker *worker = applicant->worker;
    struct http_head head;
    struct error error;
    size_t scanned = 0;
    *out = (struct admission){0};
    *out_head_only = str_starts_with(request, STR("HEAD "));
    if (http_head_parse(request, worker->settings->head_bytes, &scanned, &head, &error) != HTTP_HEAD_DONE) {
        refuse_form(out, head.status, error.code, error.text);
        return;
    }
    applicant->head = &head;
    admit(applicant, out, out_client);
    applicant->head = NULL;
    if (out->outcome == REFUSED_HTTP || offer_is_taken(&head))
        return;
    if (out->outcome == ADMITTED)
        metrics_add_labelled(worker->metrics, METRIC_CONNECTIONS_REFUSED, REASON_NONE, 1);
    refuse_form(out, 400, ERR_INVALID_REQUEST,
                "the subprotocols offered must be carillon.v1 and no more than 126 bytes in all; send a longer token "
                "in the Authorization header or the query");
}

bool ws_request_admit(struct lws *wsi, struct applicant *applicant, struct admission *out, struct address *out_client,
                      bool *out_head_only)
{
    struct buf request = {0};
    bool good = write_request(wsi, &request);
    if (good)
        judge(applicant, buf_str(&request), out, out_client, out_head_only);
    buf_fini(&request);
    return good;
}

bool ws_request_is_upgrade(struct lws *wsi)
{
    char upgrade[32]; /* not the `in` of the callback: it can dangle */
    return lws_hdr_copy(wsi, upgrade, sizeof upgrade, WSI_TOKEN_UPGRADE) > 0 &&
           str_eq_nocase(str_from_cstr(upgrade), STR("websocket")) && lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0;
}
