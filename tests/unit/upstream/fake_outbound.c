/* fake_outbound.c - see fake_outbound.h. */
#include "tests/unit/upstream/fake_outbound.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/alloc.h"

struct fake_outbound fake_outbound;

struct outbound_target *fake_target_create(void)
{
    struct outbound_target *target = xcalloc(1, sizeof *target);
    target->refs = 1;
    return target;
}

struct outbound_target *outbound_target_ref(struct outbound_target *target)
{
    target->refs++;
    return target;
}

void outbound_target_unref(struct outbound_target *target)
{
    if (target && --target->refs == 0)
        free(target);
}

enum err outbound_start(struct outbound *outbound, const struct outbound_request *request, struct outbound_call **out,
                        struct error *error)
{
    (void)outbound;
    (void)error;
    assert(fake_outbound.count < FAKE_CALLS_MAX);
    struct outbound_call *call = xcalloc(1, sizeof *call);
    for (size_t i = 0; i < request->field_count; i++)
        buf_appendf(&call->fields, "%.*s: %.*s\n", STR_ARG(request->fields[i].name), STR_ARG(request->fields[i].value));
    buf_append(&call->body, request->body);
    buf_append(&call->id, request->id);
    call->ops = request->ops;
    call->owner = request->owner;
    call->target = outbound_target_ref(request->target);
    fake_outbound.calls[fake_outbound.count++] = call;
    *out = call;
    return ERR_NONE;
}

void *outbound_call_owner(const struct outbound_call *call)
{
    return call->owner;
}

void outbound_more(struct outbound_call *call, size_t bytes)
{
    assert(!call->over);
    call->more += bytes;
}

void outbound_cancel(struct outbound_call *call)
{
    assert(!call->over);
    call->over = call->cancelled = true;
}

void fake_outbound_fini(void)
{
    for (size_t i = 0; i < fake_outbound.count; i++) {
        struct outbound_call *call = fake_outbound.calls[i];
        assert(call->over);
        outbound_target_unref(call->target);
        buf_fini(&call->fields);
        buf_fini(&call->body);
        buf_fini(&call->id);
        free(call);
    }
    fake_outbound = (struct fake_outbound){0};
}

void fake_head(struct outbound_call *call, int status, const char *type, const struct str *fields, size_t count)
{
    struct outbound_head head = {.status = status, .content_type = str_from_cstr(type)};
    for (size_t i = 0; i < count; i++)
        head.fields[i] = fields[i];
    if (!call->over)
        call->ops->head(call, fake_outbound.mailbox_owner, &head);
}

void fake_body(struct outbound_call *call, struct str part)
{
    char *copy = str_dup(part); /* so that a sanitizer sees who reads it later */
    if (!call->over)
        call->ops->body(call, fake_outbound.mailbox_owner, str_from(copy, part.len));
    free(copy);
}

void fake_end(struct outbound_call *call, enum outbound_result result)
{
    const struct outbound_end end = {.result = result, .text = result ? STR("the fake says so") : STR("")};
    if (call->over)
        return;
    call->ops->end(call, fake_outbound.mailbox_owner, &end);
    call->over = true;
}

void fake_answer(struct outbound_call *call, int status, const char *type, const char *body)
{
    fake_head(call, status, type, NULL, 0);
    if (body)
        fake_body(call, str_from_cstr(body));
    fake_end(call, OUTBOUND_OK);
}

const char *fake_field(struct outbound_call *call, const char *name)
{
    static char value[8192];
    struct str rest = buf_str(&call->fields);
    value[0] = '\0';
    while (rest.ptr) {
        struct str line = str_split(&rest, '\n');
        if (str_eq_cstr(str_split(&line, ':'), name))
            snprintf(value, sizeof value, "%.*s", STR_ARG(str_trim(line)));
    }
    return value;
}
