/* ws_target.c - see ws_target.h. */
#include "server/upstream/ws_target.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "common/protocol/url.h"

struct ws_target {
    atomic_uint refs;
    struct backend_address address;
    struct str name;
    struct str authority;
    struct str path;
    uint32_t connections_max;
    pthread_mutex_t lock; /* of the next two; held for a few instructions, once or twice a connection */
    uint32_t connections;
    struct breaker breaker;
    char port[8];
    char texts[]; /* the host first, with a NUL */
};

static enum err make_context(const char *ca_file, SSL_CTX **out, struct error *error)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(context);
        return error_set(error, ERR_INTERNAL_ERROR, "OpenSSL does not start");
    }
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    *out = context;
    if (!*ca_file) {
        SSL_CTX_set_default_verify_paths(context);
        return ERR_NONE;
    }
    if (SSL_CTX_load_verify_locations(context, ca_file, NULL) == 1)
        return ERR_NONE;
    const char *why = access(ca_file, R_OK) == 0 ? "it has no certificate in PEM form" : strerror(errno);
    ERR_clear_error();
    SSL_CTX_free(context);
    return error_set(error, ERR_INVALID_REQUEST, "tls_ca: cannot use %s: %s", ca_file, why);
}

enum err ws_target_create(const struct ws_target_options *options, struct ws_target **out, struct error *error)
{
    struct url url;
    SSL_CTX *context = NULL;
    enum err err = url_parse(options->url, "ws", &url, error);
    if (err == ERR_NONE && url.secure) {
        char *ca_file = str_dup(options->ca_file);
        err = make_context(ca_file, &context, error);
        free(ca_file);
    }
    if (err != ERR_NONE)
        return err;
    size_t len = url.host.len + 1 + options->name.len + url.authority.len + url.target.len;
    struct ws_target *target = xcalloc(1, sizeof *target + len);
    char *at = target->texts;
    atomic_init(&target->refs, 1);
    snprintf(target->port, sizeof target->port, "%u", url.port);
    target->address = (struct backend_address){.host = at, .port = target->port, .context = context};
    str_pack(&at, url.host);
    *at++ = '\0';
    target->name = str_pack(&at, options->name);
    target->authority = str_pack(&at, url.authority);
    target->path = str_pack(&at, url.target);
    target->connections_max = options->connections;
    pthread_mutex_init(&target->lock, NULL);
    breaker_init(&target->breaker, options->breaker_failures, options->breaker_open_us);
    *out = target;
    return ERR_NONE;
}

struct ws_target *ws_target_ref(struct ws_target *target)
{
    atomic_fetch_add_explicit(&target->refs, 1, memory_order_relaxed);
    return target;
}

void ws_target_unref(struct ws_target *target)
{
    if (!target || atomic_fetch_sub_explicit(&target->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(target->address.context);
    pthread_mutex_destroy(&target->lock);
    free(target);
}

const struct backend_address *ws_target_address(const struct ws_target *target)
{
    return &target->address;
}

struct str ws_target_host(const struct ws_target *target)
{
    return target->authority;
}

struct str ws_target_path(const struct ws_target *target)
{
    return target->path;
}

enum outbound_result ws_target_enter(struct ws_target *target, uint64_t now_us, bool *out_probe)
{
    enum outbound_result result = OUTBOUND_OK;
    pthread_mutex_lock(&target->lock);
    if (target->connections >= target->connections_max)
        result = OUTBOUND_TOO_MANY;
    else if (!breaker_allows(&target->breaker, now_us, out_probe))
        result = OUTBOUND_BREAKER_OPEN;
    else
        target->connections++;
    pthread_mutex_unlock(&target->lock);
    return result;
}

void ws_target_tell(struct ws_target *target, bool probe, enum breaker_verdict verdict, uint64_t now_us)
{
    pthread_mutex_lock(&target->lock);
    enum breaker_change change = breaker_tell(&target->breaker, probe, verdict, now_us);
    pthread_mutex_unlock(&target->lock);
    switch (change) {
    case BREAKER_SAME: break;
    case BREAKER_OPENED:
        log_warn("upstream", "%.*s: no connection is tried for %llu ms, because the last %u failed",
                 STR_ARG(target->name), (unsigned long long)(target->breaker.open_us / 1000),
                 target->breaker.failures_max);
        break;
    case BREAKER_HAS_CLOSED: log_info("upstream", "%.*s answers again", STR_ARG(target->name)); break;
    }
}

void ws_target_leave(struct ws_target *target)
{
    pthread_mutex_lock(&target->lock);
    target->connections--;
    pthread_mutex_unlock(&target->lock);
}
