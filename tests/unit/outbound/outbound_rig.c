/* outbound_rig.c - see outbound_rig.h. */
#include "tests/unit/outbound/outbound_rig.h"

#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"

/* --- the backend ----------------------------------------------------------------------------------------------- */

struct served {
    struct backend *backend;
    int fd;
    pthread_t thread;
    struct served *next;
};

static void *serve_one(void *arg)
{
    struct served *served = arg;
    served->backend->serve(served->backend, served->fd);
    shutdown(served->fd, SHUT_RDWR);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct backend *backend = arg;
    struct served *all = NULL;
    for (;;) {
        int fd = accept(backend->listener, NULL, NULL);
        if (atomic_load(&backend->stopping)) {
            if (fd >= 0)
                close(fd);
            break;
        }
        if (fd < 0)
            continue;
        atomic_fetch_add(&backend->connections, 1);
        struct served *served = xcalloc(1, sizeof *served);
        *served = (struct served){.backend = backend, .fd = fd, .next = all};
        all = served;
        pthread_create(&served->thread, NULL, serve_one, served);
    }
    while (all) {
        struct served *next = all->next;
        shutdown(all->fd, SHUT_RDWR);
        pthread_join(all->thread, NULL);
        close(all->fd);
        free(all);
        all = next;
    }
    return NULL;
}

void backend_start(struct backend *backend, void (*serve)(struct backend *, int))
{
    backend_start_at(backend, serve, 0);
}

void backend_start_at(struct backend *backend, void (*serve)(struct backend *, int), unsigned port)
{
    *backend = (struct backend){.serve = serve};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int one = 1;
    backend->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(backend->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(backend->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(backend->listener, 128), 0);
    getsockname(backend->listener, (struct sockaddr *)&address, &len);
    backend->port = ntohs(address.sin_port);
    pthread_create(&backend->thread, NULL, accept_all, backend);
}

void backend_stop(struct backend *backend)
{
    atomic_store(&backend->stopping, true);
    shutdown(backend->listener, SHUT_RDWR);
    pthread_join(backend->thread, NULL);
    close(backend->listener);
}

bool backend_read(struct backend *backend, int fd, struct buf *request)
{
    size_t whole = 0;
    buf_clear(request);
    while (whole == 0 || request->len < whole) {
        buf_reserve(request, 65536);
        ssize_t n = recv(fd, request->ptr + request->len, 65535, 0);
        if (n <= 0)
            return false;
        request->len += (size_t)n;
        const char *text = buf_cstr(request), *end = strstr(text, "\r\n\r\n");
        if (end && whole == 0) {
            const char *length = strcasestr(text, "content-length:");
            whole = (size_t)(end + 4 - text) + (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
        }
    }
    atomic_fetch_add(&backend->requests, 1);
    return true;
}

bool backend_write(int fd, const char *bytes)
{
    size_t len = strlen(bytes);
    return send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* --- the caller ------------------------------------------------------------------------------------------------ */

static void copy(char *out, size_t cap, struct str text)
{
    assert_true(text.len < cap);
    if (text.len)
        memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
}

static void cancel(struct seen *seen)
{
    outbound_cancel(seen->call);
    seen->call = NULL;
}

static void on_head(struct outbound_call *call, void *owner, const struct outbound_head *head)
{
    struct seen *seen = outbound_call_owner(call);
    assert_non_null(owner);
    assert_false(seen->ended);
    seen->heads++;
    seen->status = head->status;
    copy(seen->type, sizeof seen->type, head->content_type);
    for (size_t i = 0; i < OUTBOUND_FIELDS_MAX; i++)
        copy(seen->fields[i], sizeof seen->fields[i], head->fields[i]);
    if (seen->cancel_at == 1)
        cancel(seen);
}

static void on_body(struct outbound_call *call, void *owner, struct str part)
{
    struct seen *seen = outbound_call_owner(call);
    (void)owner;
    assert_false(seen->ended);
    assert_int_equal(seen->heads, 1);
    assert_true(part.len > 0);
    buf_append(&seen->body, part);
    seen->parts++;
    if (seen->cancel_at == 2)
        cancel(seen);
    else if (seen->acknowledge)
        outbound_more(call, part.len);
}

static void on_end(struct outbound_call *call, void *owner, const struct outbound_end *end)
{
    struct seen *seen = outbound_call_owner(call);
    (void)owner;
    assert_ptr_equal(seen->call, call);
    assert_false(seen->ended);
    assert_int_equal(end->status, seen->status);
    seen->ended = true;
    seen->call = NULL;
    seen->result = end->result;
    copy(seen->text, sizeof seen->text, end->text);
}

const struct outbound_ops rig_ops = {on_head, on_body, on_end};

void rig_open(struct rig *rig)
{
    uv_loop_init(&rig->loop);
    turn_init(&rig->turn, &rig->loop);
    mailbox_init(&rig->mailbox, &rig->turn, rig);
    metrics_init(&rig->metrics, -1);
    rig->outbound = outbound_create(&rig->metrics);
}

void rig_close(struct rig *rig)
{
    outbound_destroy(rig->outbound);
    mailbox_close(&rig->mailbox);
    turn_close(&rig->turn);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
}

struct outbound_target *rig_target(struct rig *rig, const struct backend *backend,
                                   struct outbound_target_options *options)
{
    struct outbound_target_options none = {0};
    char url[64];
    if (!options)
        options = &none;
    options->name = STR("test");
    if (backend) {
        snprintf(url, sizeof url, "http://127.0.0.1:%u/frames?v=1", backend->port);
        options->url = str_from_cstr(url);
    }
    struct outbound_target *target;
    struct error error = {0};
    enum err err = outbound_target_create(rig->outbound, options, &target, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(err, ERR_NONE);
    return target;
}

void rig_start(struct rig *rig, struct outbound_target *target, const char *method, struct str body, struct seen *seen)
{
    const struct outbound_field fields[] = {{STR("Content-Type"), STR("text/plain")}, {STR("ce-id"), STR("1")}};
    const struct outbound_request request = {
        .target = target,
        .method = str_from_cstr(method),
        .fields = fields,
        .field_count = body.len ? 2 : 0,
        .body = body,
        .id = STR("call-1"),
        .reply_to = &rig->mailbox,
        .ops = &rig_ops,
        .owner = seen,
    };
    struct error error;
    assert_int_equal(outbound_start(rig->outbound, &request, &seen->call, &error), ERR_NONE);
}

void rig_until(struct rig *rig, bool (*what)(void *), void *arg)
{
    uint64_t until_us = clock_now_us() + 10000000;
    while (!what(arg)) {
        assert_true(clock_now_us() < until_us);
        if (!uv_run(&rig->loop, UV_RUN_NOWAIT) || !what(arg))
            usleep(200);
    }
}

static bool has_ended(void *arg)
{
    return ((struct seen *)arg)->ended;
}

void rig_await(struct rig *rig, struct seen *seen)
{
    rig_until(rig, has_ended, seen);
}

void rig_call(struct rig *rig, struct outbound_target *target, const char *body, struct seen *seen)
{
    seen->acknowledge = true;
    rig_start(rig, target, "POST", str_from_cstr(body), seen);
    rig_await(rig, seen);
}

void seen_fini(struct seen *seen)
{
    buf_fini(&seen->body);
}
