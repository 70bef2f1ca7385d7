/* fuzz_answer_frames.c - answers of backends. The first byte chooses the kind and the largest frame. The rest is cut to
 * the same frames byte by byte and at once, and no frame is over the bound. */
#include <stdlib.h>

#include "server/upstream/answer_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void add(struct buf *out, struct str frame, const struct answer_frames *frames)
{
    require(frame.len <= frames->frame_max);
    require(frames->kind == ANSWER_BINARY || str_is_utf8(frame));
    buf_appendf(out, "%zu:", frame.len);
    buf_append(out, frame);
}

static void cut(struct answer_frames frames, struct str answer, size_t step, struct buf *out)
{
    enum answer_result result = ANSWER_MORE;
    struct error error = {0};
    struct str frame;
    while (answer.len && result != ANSWER_BAD) {
        size_t part_len = answer.len < step ? answer.len : step;
        char *copy = str_dup(str_from(answer.ptr, part_len));
        struct str part = str_from(copy, part_len);
        while ((result = answer_next(&frames, &part, &frame, &error)) == ANSWER_FRAME)
            add(out, frame, &frames);
        require(result == ANSWER_BAD || part.len == 0);
        free(copy);
        answer = str_skip(answer, part_len);
    }
    while (result != ANSWER_BAD && (result = answer_end(&frames, &frame, &error)) == ANSWER_FRAME)
        add(out, frame, &frames);
    require((result == ANSWER_BAD) == (error.text[0] != '\0'));
    buf_append_char(out, result == ANSWER_BAD ? '!' : '.');
    answer_frames_fini(&frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    const struct answer_frames frames = {.kind = bytes[0] % ANSWER_OTHER, .frame_max = bytes[0] / ANSWER_OTHER};
    struct str answer = str_from((const char *)bytes + 1, len - 1);
    struct buf at_once = {0}, slowly = {0};
    cut(frames, answer, len, &at_once);
    cut(frames, answer, 1, &slowly);
    require(str_eq(buf_str(&at_once), buf_str(&slowly)));
    answer_kind_of(answer);
    buf_fini(&at_once);
    buf_fini(&slowly);
    return 0;
}
