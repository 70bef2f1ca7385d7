/* answer.c - see answer.h. */
#include "server/net/http/answer.h"

#include <time.h>

#include "common/json/json.h"

static const char *status_text(int status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 204: return "No Content";
    case 303: return "See Other";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Other"; /* a reason phrase means nothing to a program (RFC 9112, 4) */
    }
}

/* RFC 9110, 5.6.7; without strftime, whose names of days depend on the locale. The last one is kept: it changes once a
 * second, and thousands of answers go out in one. */
static void write_date(struct buf *out, uint64_t wall_ms)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static _Thread_local struct {
        time_t second;
        char text[64];
        size_t len;
    } last;
    time_t second = (time_t)(wall_ms / 1000);
    if (last.len == 0 || second != last.second) {
        struct tm tm;
        struct buf line = {0};
        gmtime_r(&second, &tm);
        buf_appendf(&line, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n", days + 3 * tm.tm_wday, tm.tm_mday,
                    months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
        last.len = line.len < sizeof last.text ? line.len : 0;
        memcpy(last.text, line.ptr, last.len);
        last.second = second;
        buf_fini(&line);
    }
    buf_append(out, str_from(last.text, last.len));
}

void answer_write_head(struct buf *out, const struct answer *answer, size_t body_len)
{
    buf_append_lit(out, "HTTP/1.1 ");
    buf_append_u64(out, (uint64_t)answer->status);
    buf_append_char(out, ' ');
    buf_append(out, str_from_cstr(status_text(answer->status)));
    buf_append_lit(out, "\r\n");
    write_date(out, answer->wall_ms);
    if (answer->status != 204) { /* RFC 9110, 8.6 */
        buf_append_lit(out, "Content-Type: ");
        buf_append(out, str_from_cstr(answer->content_type ? answer->content_type : "application/json"));
        if (!answer->open_ended) {
            buf_append_lit(out, "\r\nContent-Length: ");
            buf_append_u64(out, body_len);
        }
        buf_append_lit(out, "\r\n");
    }
    buf_append(out, answer->more);
    if (answer->allow) {
        buf_append_lit(out, "Allow: ");
        buf_append(out, str_from_cstr(answer->allow));
        buf_append_lit(out, "\r\n");
    }
    if (answer->retry_after_s) {
        buf_append_lit(out, "Retry-After: ");
        buf_append_u64(out, answer->retry_after_s);
        buf_append_lit(out, "\r\n");
    }
    if (answer->status == 401)
        buf_append_lit(out, "WWW-Authenticate: Bearer\r\n");
    if (answer->upgrade) {
        buf_append(out, str_from_cstr(answer->upgrade));
        buf_append_lit(out, "Connection: upgrade, close\r\n");
    } else if (answer->close)
        buf_append_lit(out, "Connection: close\r\n");
    else if (answer->keep_alive)
        buf_append_lit(out, "Connection: keep-alive\r\n");
    buf_append_lit(out, "\r\n");
}

void answer_write_error(struct buf *out, const struct answer *answer, enum err code, struct str message,
                        enum reason reason, bool head_only)
{
    struct buf body = {0};
    buf_appendf(&body, "{\"error\":{\"code\":\"%s\",\"message\":", err_code(code));
    json_append_string(&body, message);
    if (reason != REASON_NONE)
        buf_appendf(&body, ",\"reason\":\"%s\"", reason_text(reason));
    buf_append_lit(&body, "}}\n");
    answer_write_head(out, answer, body.len);
    if (!head_only)
        buf_append(out, buf_str(&body));
    buf_fini(&body);
}
