/* shared_texts.c - see shared_texts.h. */
#include "common/base/shared_texts.h"

#include "common/base/alloc.h"

enum { SHORT_BYTES = 128 };

struct shared_text *shared_text_take(struct shared_texts *texts, struct str text)
{
    bool is_short = text.len < SHORT_BYTES;
    struct shared_text *shared = is_short ? NULL : map_get(&texts->map, text);
    if (shared) {
        shared->refs++;
        return shared;
    }
    shared = xmalloc(sizeof *shared + text.len);
    shared->refs = 1;
    if (text.len)
        memcpy(shared->bytes, text.ptr, text.len);
    shared->text = str_from(shared->bytes, text.len);
    if (!is_short)
        map_put(&texts->map, shared->text, shared);
    return shared;
}

void shared_text_drop(struct shared_texts *texts, struct shared_text *shared)
{
    if (--shared->refs)
        return;
    if (shared->text.len >= SHORT_BYTES)
        map_remove(&texts->map, shared->text);
    free(shared);
}

void shared_texts_fini(struct shared_texts *texts)
{
    map_fini(&texts->map);
}
