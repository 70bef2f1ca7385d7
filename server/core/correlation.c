/* correlation.c - see correlation.h. */
#include "server/core/correlation.h"

#include <stdatomic.h>

#include "common/base/alloc.h"
#include "common/json/json_pointer.h"
#include "common/json/json_template.h"

struct correlation {
    atomic_uint refs;
    struct json_pointer *id; /* NULL: none; the next two as well */
    struct json_pointer *idempotency_key;
    struct json_template *error;
};

static const char *const error_names[] = {"code", "message", "id"};

static enum err fill(struct correlation *correlation, const struct correlation_options *options, struct error *error)
{
    enum err err = ERR_NONE;
    if (options->id.len)
        err = json_pointer_create(options->id, &correlation->id, error);
    if (!err && options->idempotency_key.len)
        err = json_pointer_create(options->idempotency_key, &correlation->idempotency_key, error);
    if (!err && options->error.len)
        err = json_template_create(options->error, error_names, sizeof error_names / sizeof *error_names,
                                   &correlation->error, error);
    return err;
}

enum err correlation_create(const struct correlation_options *options, struct correlation **out, struct error *error)
{
    struct correlation *correlation = xcalloc(1, sizeof *correlation);
    *out = NULL;
    atomic_init(&correlation->refs, 1);
    enum err err = fill(correlation, options, error);
    if (err)
        correlation_unref(correlation);
    else
        *out = correlation;
    return err;
}

struct correlation *correlation_ref(struct correlation *correlation)
{
    if (correlation)
        atomic_fetch_add_explicit(&correlation->refs, 1, memory_order_relaxed);
    return correlation;
}

void correlation_unref(struct correlation *correlation)
{
    if (!correlation || atomic_fetch_sub_explicit(&correlation->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(correlation->id);
    free(correlation->idempotency_key);
    json_template_free(correlation->error);
    free(correlation);
}

static struct str find(const struct json_pointer *pointer, struct json_value document)
{
    struct json_value found = pointer ? json_pointer_find(pointer, document) : (struct json_value){0};
    bool good = (found.type == JSON_STRING || found.type == JSON_NUMBER) && found.raw.len <= CORRELATION_ID_MAX;
    return good ? found.raw : STR("");
}

struct correlated correlation_read(const struct correlation *correlation, struct str text)
{
    const struct json_limits limits = {.depth = JSON_DEPTH_MAX, .values = text.len + 1};
    struct json_value document;
    if ((!correlation->id && !correlation->idempotency_key) || json_check(text, &limits, &document, NULL))
        return (struct correlated){0};
    return (struct correlated){.id = find(correlation->id, document),
                               .idempotency_key = find(correlation->idempotency_key, document)};
}

bool correlation_write_error(const struct correlation *correlation, struct str id, enum err code, struct str message,
                             struct buf *out)
{
    const struct json_filling fillings[] = {{str_from_cstr(err_code(code)), false}, {message, false}, {id, true}};
    if (!correlation->error)
        return false;
    json_template_write(correlation->error, fillings, out);
    return true;
}
