/* target.c - what is known of one backend. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "server/outbound/outbound_private.h"

/* --- making one --------------------------------------------------------------------------------------------------- */

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

static enum err check_url(struct str text, struct error *error)
{
    char quote[ERROR_QUOTE_LEN];
    char *copy = str_dup(text);
    CURLU *url = curl_url();
    enum err err = ERR_NONE;
    bool is_http = str_starts_with(text, STR("http://")) || str_starts_with(text, STR("https://"));
    bool has_nul = memchr(text.ptr, '\0', text.len) != NULL;
    if (!is_http || has_nul || curl_url_set(url, CURLUPART_URL, copy, 0) != CURLUE_OK)
        err = error_set(error, ERR_INVALID_REQUEST, "%s is not a URL that begins with http:// or https://",
                        error_quote(text, quote));
    else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
        err = error_set(error, ERR_INVALID_REQUEST, "the URL of an upstream must not have a user or a password");
    else if (has_part(url, CURLUPART_FRAGMENT))
        err =
            error_set(error, ERR_INVALID_REQUEST, "the URL %s must not have a fragment (#)", error_quote(text, quote));
    curl_url_cleanup(url);
    free(copy);
    return err;
}

enum err outbound_target_check(const struct outbound_target_options *options, struct error *error)
{
    enum err err = check_url(options->url, error);
    if (err || options->ca_file.len == 0)
        return err;
    char *path = str_dup(options->ca_file);
    FILE *file = fopen(path, "re");
    if (file)
        fclose(file);
    else
        err = error_set(error, ERR_INVALID_REQUEST, "the CA file %s cannot be read", path);
    free(path);
    return err;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static struct outbound_target *make(const struct outbound_target_options *options)
{
    size_t len = options->name.len + options->url.len + options->ca_file.len + 3;
    for (size_t i = 0; i < options->field_count; i++)
        len += options->fields[i].len + 1;
    struct outbound_target *target = xcalloc(1, sizeof *target + len);
    char *at = (char *)(target + 1);
    target->name = pack_text(&at, options->name);
    target->url = pack_text(&at, options->url);
    target->ca_file = pack_text(&at, options->ca_file);
    target->field_count = options->field_count < OUTBOUND_FIELDS_MAX ? options->field_count : OUTBOUND_FIELDS_MAX;
    for (size_t i = 0; i < target->field_count; i++)
        target->fields[i] = pack_text(&at, options->fields[i]);
    const char *query = memchr(target->url.ptr, '?', target->url.len);
    target->path_end = query ? (size_t)(query - target->url.ptr) : target->url.len;
    target->connect_timeout_ms = or_default(options->connect_timeout_ms, 5000);
    target->part_timeout_us = or_default(options->part_timeout_ms, 25000) * 1000ull;
    target->timeout_us = or_default(options->timeout_ms, 300000) * 1000ull;
    target->in_flight_max = or_default(options->in_flight, 512);
    target->waiting_max = or_default(options->waiting, 4096);
    target->answer_max_bytes = options->answer_max_bytes ? options->answer_max_bytes : 16ull << 20;
    /* Without TLS there is no HTTP/2, and a call must not wait to learn whether a connection can carry two. */
    target->http2 = options->http2 && str_starts_with(options->url, STR("https://"));
    target->label = metrics_upstream(options->name);
    breaker_init(&target->breaker, or_default(options->breaker_failures, 20),
                 or_default(options->breaker_open_ms, 5000) * 1000ull);
    list_init(&target->active);
    list_init(&target->waiting);
    list_init(&target->idle);
    return target;
}

enum err target_make(struct outbound *outbound, const struct outbound_target_options *options,
                     struct outbound_target **out, struct error *error)
{
    enum err err = outbound_target_check(options, error);
    if (err)
        return err;
    *out = make(options);
    (*out)->outbound = outbound;
    atomic_init(&(*out)->refs, 1);
    return ERR_NONE;
}

/* --- references --------------------------------------------------------------------------------------------------- */

struct outbound_target *outbound_target_ref(struct outbound_target *target)
{
    atomic_fetch_add_explicit(&target->refs, 1, memory_order_relaxed);
    return target;
}

static void destroy_idle(struct outbound_target *target)
{
    for (struct transfer *transfer; (transfer = target_take_idle(target));)
        transfer_destroy(transfer);
}

void target_forget_thread(struct outbound_target *target)
{
    destroy_idle(target);
    multi_close(target);
    list_remove(&target->link);
    target->outbound = NULL;
}

static void release(struct mail *mail, void *owner)
{
    struct outbound_target *target = CONTAINER_OF(mail, struct outbound_target, release);
    (void)owner;
    destroy_idle(target);
    if (list_is_linked(&target->link)) {
        list_remove(&target->link);
        multi_close(target);
    }
    free(target);
}

void outbound_target_unref(struct outbound_target *target)
{
    if (!target || atomic_fetch_sub_explicit(&target->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (target->outbound && target->is_known) {
        target->release.deliver = release;
        mailbox_post(&target->outbound->mailbox, &target->release);
    } else {
        free(target);
    }
}

/* --- idle transfers ----------------------------------------------------------------------------------------------- */

void target_put_idle(struct outbound_target *target, struct transfer *transfer)
{
    transfer->call = NULL;
    if (transfer_is_reusable(transfer))
        list_append(&target->idle, &transfer->link);
    else
        transfer_destroy(transfer);
}

struct transfer *target_take_idle(struct outbound_target *target)
{
    struct list_link *link = list_take_first(&target->idle);
    return link ? CONTAINER_OF(link, struct transfer, link) : NULL;
}
