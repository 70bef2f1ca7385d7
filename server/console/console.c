/* console.c - see console.h. */
#include "server/console/console.h"

#include "server/console/console_css.h"
#include "server/console/console_html.h"
#include "server/console/console_js.h"
#include "server/console/console_svg.h"

/* A page loads what is its own, connects to where it came from, and is in no frame. Its script cannot write markup:
 * require-trusted-types-for. */
#define POLICY                                                                                                         \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "               \
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "                                \
    "require-trusted-types-for 'script'; trusted-types 'none'\r\n"
#define MORE                                                                                                           \
    "X-Content-Type-Options: nosniff\r\n"                                                                              \
    "Referrer-Policy: same-origin\r\n"                                                                                 \
    "Cross-Origin-Opener-Policy: same-origin\r\n"                                                                      \
    "Cross-Origin-Resource-Policy: same-origin\r\n"                                                                    \
    "Cache-Control: no-cache\r\n"

#define TEXT(name)                                                                                                     \
    {                                                                                                                  \
        (name), sizeof(name) - 1                                                                                       \
    }

#define SHARED                                                                                                         \
    {"/console.css", "text/css; charset=utf-8", TEXT(console_css)},                                                    \
    {                                                                                                                  \
        "/console.svg", "image/svg+xml", TEXT(console_svg)                                                             \
    }
#define HTML   "text/html; charset=utf-8"
#define SCRIPT "text/javascript; charset=utf-8"

static const struct console_file of_dev[] = {
    {"/", HTML, TEXT(console_html)}, {"/console.js", SCRIPT, TEXT(console_js)}, SHARED, {0}};
static const struct console_file of_inspector[] = {
    {"/", HTML, TEXT(inspector_html)}, {"/console.js", SCRIPT, TEXT(inspector_js)}, SHARED, {0}};
static const struct console_file of_login[] = {{"/", HTML, TEXT(login_html)}, SHARED, {0}};

static const struct console_file *find(const struct console_file *files, struct str path)
{
    for (; files->path; files++)
        if (str_eq_cstr(path, files->path))
            return files;
    return NULL;
}

const struct console_file *console_find(struct str path)
{
    return find(of_dev, path);
}

const struct console_file *console_find_of_inspector(struct str path, bool logged_in)
{
    return find(logged_in ? of_inspector : of_login, path);
}

static void begin_answer(struct http_call *call, int status, const char *content_type)
{
    call->response.status = status;
    call->response.content_type = content_type;
    buf_append_lit(&call->response.headers, POLICY MORE);
}

void console_answer(struct http_call *call, const struct console_file *file)
{
    begin_answer(call, 200, file->content_type);
    buf_append(&call->response.body, file->text);
    call->respond(call);
}

void console_answer_login(struct http_call *call, int status, struct str sentence)
{
    static const struct str page = TEXT(login_html), place = {"role=\"alert\">", 13};
    size_t before = (size_t)((const char *)memmem(page.ptr, page.len, place.ptr, place.len) - page.ptr) + place.len;
    begin_answer(call, status, HTML);
    buf_append(&call->response.body, str_from(page.ptr, before));
    buf_append(&call->response.body, sentence);
    buf_append(&call->response.body, str_skip(page, before));
    call->respond(call);
}
