/* transfer.c - one easy handle of libcurl. It is used for many calls to one target: settings stay in it, and only what
 * differs is set again. */
#include "common/base/alloc.h"
#include "server/outbound/outbound_private.h"

enum {
    CONNECTION_LIFETIME_S = 60, /* then a new one asks DNS again */
    DNS_CACHE_S = 30,
};

static void heard(const struct transfer *transfer)
{
    transfer->call->part_us = turn_now_us(&transfer->call->outbound->turn);
}

/* --- the head of the answer --------------------------------------------------------------------------------------- */

static void begin_head(struct transfer *transfer, struct str line)
{
    struct str rest = line;
    uint64_t status = 0;
    str_split(&rest, ' ');
    transfer->status = rest.len >= 3 && str_to_u64(str_from(rest.ptr, 3), &status) ? (int)status : 0;
    for (size_t i = 0; i < OUTBOUND_FIELDS_MAX + 1; i++)
        buf_clear(&transfer->head[i]);
}

static void take_field(struct transfer *transfer, struct str line)
{
    struct str value = line;
    struct str name = str_split(&value, ':');
    value = value.ptr ? str_trim(value) : STR("");
    if (str_eq_nocase(name, STR("content-type"))) {
        buf_clear(&transfer->head[0]);
        buf_append(&transfer->head[0], value);
        return;
    }
    const struct outbound_target *target = transfer->call->target;
    for (size_t i = 0; i < target->field_count; i++) {
        if (!str_eq_nocase(name, target->fields[i]))
            continue;
        struct buf *field = &transfer->head[i + 1];
        if (field->len)
            buf_append_lit(field, ", ");
        buf_append(field, value);
    }
}

/* libcurl calls this for each line, with its line end: status line, fields, the empty line; also for informational
 * answers and for trailers. Returning 0 ends the transfer. */
static size_t on_head_line(char *bytes, size_t size, size_t count, void *owner)
{
    struct transfer *transfer = owner;
    struct str line = str_from(bytes, size * count);
    heard(transfer);
    transfer->head_bytes += line.len;
    if (transfer->head_bytes > OUTBOUND_HEAD_MAX) {
        transfer->is_too_large = true;
        return 0;
    }
    while (line.len && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    if (transfer->in_body)
        return size * count; /* a trailer */
    if (line.len == 0) {
        if (transfer->status >= 200) {
            transfer->in_body = true;
            call_add_head(transfer->call, transfer->status, transfer->head);
        }
        return size * count;
    }
    bool is_continued = line.ptr[0] == ' ' || line.ptr[0] == '\t'; /* RFC 9112, 5.2: such a line may be refused */
    if (is_continued || memchr(line.ptr, '\0', line.len)) {
        transfer->is_invalid = true;
        return 0;
    }
    if (str_starts_with(line, STR("HTTP/")))
        begin_head(transfer, line);
    else
        take_field(transfer, line);
    return size * count;
}

/* --- the body ----------------------------------------------------------------------------------------------------- */

/* True: the caller has not taken enough. The second look is for an acknowledgement that came before `paused` stood
 * there to be seen (outbound_more). */
static bool must_pause(struct outbound_call *call)
{
    if (call_unacked(call) < OUTBOUND_WINDOW)
        return false;
    atomic_store(&call->paused, true);
    if (call_unacked(call) >= OUTBOUND_WINDOW)
        return true;
    atomic_store(&call->paused, false);
    return false;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *owner)
{
    struct transfer *transfer = owner;
    struct str part = str_from(bytes, size * count);
    if (part.len == 0)
        return 0;
    heard(transfer);
    if (transfer->body_bytes + part.len > transfer->call->target->answer_max_bytes) {
        transfer->is_too_large = true;
        return 0;
    }
    if (must_pause(transfer->call))
        return CURL_WRITEFUNC_PAUSE;
    transfer->body_bytes += part.len;
    call_add_body(transfer->call, part);
    return part.len;
}

/* libcurl is about to send the request, perhaps once more. */
static int on_attempt(void *owner, char *to, char *from, int to_port, int from_port)
{
    struct transfer *transfer = owner;
    const struct outbound_call *call = transfer->call;
    transfer->attempts++;
    log_debug("outbound", "upstream %.*s, call %.*s: attempt %u goes from %s port %d to %s port %d",
              STR_ARG(transfer->target->name), STR_ARG(call->id), transfer->attempts, from, from_port, to, to_port);
    return CURL_PREREQFUNC_OK;
}

bool transfer_is_reusable(const struct transfer *transfer)
{
    return transfer->attempts <= 1;
}

/* --- settings ----------------------------------------------------------------------------------------------------- */

static void set_answer(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head_line);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_attempt);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->why);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)transfer->target->answer_max_bytes);
}

struct transfer *transfer_create(struct outbound_target *target)
{
    struct transfer *transfer = xcalloc(1, sizeof *transfer);
    CURL *easy = curl_easy_init();
    if (!easy)
        abort(); /* no memory */
    transfer->easy = easy;
    transfer->target = target;
    set_answer(transfer);
    curl_easy_setopt(easy, CURLOPT_URL, target->url.ptr);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    /* Without it a cancelled call would wait for the thread that resolves its name, and all others with it. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)target->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, (long)CONNECTION_LIFETIME_S);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)DNS_CACHE_S);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     target->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, target->http2 ? 1L : 0L);
    if (target->ca_file.len) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, target->ca_file.ptr);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    multi_use_sockets(target, easy);
    return transfer;
}

void transfer_destroy(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    for (size_t i = 0; i < OUTBOUND_FIELDS_MAX + 1; i++)
        buf_fini(&transfer->head[i]);
    free(transfer);
}

static void set_url(struct transfer *transfer, const struct outbound_call *call)
{
    if (call->suffix.len == 0 && !transfer->has_url)
        return;
    struct buf url = {0};
    struct str whole = call->target->url;
    buf_append(&url, str_from(whole.ptr, call->target->path_end));
    buf_append(&url, call->suffix);
    buf_append(&url, str_skip(whole, call->target->path_end));
    curl_easy_setopt(transfer->easy, CURLOPT_URL, buf_cstr(&url));
    buf_fini(&url);
    transfer->has_url = call->suffix.len > 0;
}

/* libcurl reads the body where it stands: the call outlives the transfer. */
static void set_method(struct transfer *transfer, const struct outbound_call *call)
{
    CURL *easy = transfer->easy;
    bool is_post = str_eq(call->method, STR("POST"));
    bool is_get = str_eq(call->method, STR("GET"));
    if (is_post || call->body.len) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.ptr);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    bool has_method = !is_post && !(is_get && call->body.len == 0);
    if (has_method || transfer->has_method)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, has_method ? call->method.ptr : NULL);
    transfer->has_method = has_method;
}

void transfer_prepare(struct transfer *transfer, struct outbound_call *call)
{
    transfer->call = call;
    transfer->in_body = transfer->is_too_large = transfer->is_invalid = false;
    transfer->status = 0;
    transfer->attempts = 0;
    transfer->head_bytes = 0;
    transfer->body_bytes = 0;
    transfer->why[0] = '\0';
    set_url(transfer, call);
    set_method(transfer, call);
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, call->fields);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* A backend may answer before it has read the request, and then reset the stream (RFC 9113, 8.1). The answer counts. */
static bool is_whole(const struct transfer *transfer)
{
    curl_off_t length = -1;
    curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    return transfer->in_body && length >= 0 && (uint64_t)length == transfer->body_bytes;
}

static enum outbound_result result_of(const struct transfer *transfer, CURLcode code)
{
    enum { CODE_TOO_LARGE = 100 }; /* CURLE_TOO_LARGE, since libcurl 8.6: a line of the head above its own limit */
    if ((int)code == CODE_TOO_LARGE)
        return OUTBOUND_TOO_LARGE;
    switch (code) {
    case CURLE_OK:
        return transfer->in_body ? OUTBOUND_OK : OUTBOUND_RESET; /* libcurl takes half a head for a whole one */
    case CURLE_HTTP2_STREAM: return is_whole(transfer) ? OUTBOUND_OK : OUTBOUND_RESET;
    case CURLE_COULDNT_RESOLVE_HOST: return OUTBOUND_DNS;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT: return OUTBOUND_TLS;
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9, or another version that is not known */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING: return OUTBOUND_INVALID;
    case CURLE_FILESIZE_EXCEEDED:
    case CURLE_OUT_OF_MEMORY: /* the same before libcurl 8.6 */ return OUTBOUND_TOO_LARGE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT: /* connect_timeout: no other timeout is libcurl's */ return OUTBOUND_REFUSED;
    default: return OUTBOUND_RESET;
    }
}

/* Names in certificates and lines of answers get into libcurl's errors. */
static struct str printable(char *text)
{
    for (char *c = text; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    return str_from_cstr(text);
}

enum outbound_result transfer_result(struct transfer *transfer, CURLcode code, struct str *out_text)
{
    enum outbound_result result = transfer->is_too_large ? OUTBOUND_TOO_LARGE
                                  : transfer->is_invalid ? OUTBOUND_INVALID
                                                         : result_of(transfer, code);
    if (result == OUTBOUND_OK)
        *out_text = STR("");
    else if (result == OUTBOUND_TOO_LARGE)
        *out_text = STR("the head or the body of the answer is larger than allowed");
    else if (result == OUTBOUND_INVALID)
        *out_text = STR("the answer is not well-formed HTTP");
    else if (code == CURLE_OK)
        *out_text = STR("the connection ended within the head of the answer");
    else
        *out_text = transfer->why[0] ? printable(transfer->why) : str_from_cstr(curl_easy_strerror(code));
    return result;
}
