/* fuzz_json_template.c - templates, pointers and what they are used on. Three texts with a NUL between: a template, a
 * pointer, a document. What the template writes is JSON, and the value that is filled in is found again in it. */
#include <stdlib.h>

#include "common/json/json_pointer.h"
#include "common/json/json_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static struct str take(struct str *rest)
{
    const char *end = rest->len ? memchr(rest->ptr, 0, rest->len) : NULL;
    struct str text = str_from(rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len);
    *rest = str_skip(*rest, text.len + (end != NULL));
    return text;
}

static struct json_value find(struct str pointer_text, struct str document_text)
{
    struct json_pointer *pointer;
    struct json_value document, found = {0};
    struct error error;
    if (json_check(document_text, NULL, &document, NULL) || json_pointer_create(pointer_text, &pointer, &error))
        return found;
    found = json_pointer_find(pointer, document);
    free(pointer);
    must(!found.type ||
         (found.raw.ptr >= document.raw.ptr && found.raw.ptr + found.raw.len <= document.raw.ptr + document.raw.len));
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char *const names[] = {"code", "message", "id"};
    struct str rest = str_from((const char *)bytes, len);
    if (len > 4096)
        return 0;
    struct str text = take(&rest), pointer = take(&rest);
    struct json_value id = find(pointer, rest);
    struct json_template *template;
    struct error error;
    if (json_template_create(text, names, 3, &template, &error)) {
        must(template == NULL);
        return 0;
    }
    const struct json_filling fillings[] = {{pointer, false}, {rest, false}, {id.raw, true}};
    const struct json_limits limits = {.depth = JSON_DEPTH_MAX};
    struct buf out = {0};
    struct json_value value;
    json_template_write(template, fillings, &out);
    must(json_check(buf_str(&out), &limits, &value, NULL) == ERR_NONE);
    must(!json_template_has(template, 2) || id.raw.len == 0 || id.raw.ptr[0] == '"' || id.raw.ptr[0] == '{' ||
         id.raw.ptr[0] == '[' || memmem(out.ptr, out.len, id.raw.ptr, id.raw.len));
    buf_fini(&out);
    json_template_free(template);
    return 0;
}
