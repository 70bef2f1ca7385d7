/* fuzz_path_pattern.c - "PATTERN OTHER PATH". A path that fits two patterns makes them collide. Its values are fit for
 * channel names. */
#include <stdlib.h>

#include "common/protocol/channel_name.h"
#include "common/protocol/path_pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_values(struct str pattern, struct str path)
{
    struct buf scratch = {0};
    struct path_value values[PATH_NAMES_MAX];
    struct str name, rest = pattern;
    size_t count = path_pattern_values(pattern, path, &scratch, values);
    for (size_t i = 0; i < count; i++) {
        require(pattern_next_claim(&rest, &name) && str_eq(name, values[i].name));
        require(channel_name_check(values[i].value, NULL) == ERR_NONE);
        require(!memchr(values[i].value.ptr, '/', values[i].value.len));
    }
    require(!pattern_next_claim(&rest, &name));
    buf_fini(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct error error = {0};
    struct str rest = str_from((const char *)bytes, len);
    struct str pattern = str_split(&rest, ' ');
    struct str other = rest.ptr ? str_split(&rest, ' ') : STR("/");
    struct str path = rest.ptr ? rest : STR("/");
    if (path_pattern_check(pattern, &error) || path_pattern_check(other, &error)) {
        require(error.text[0] != '\0');
        return 0;
    }
    require(path_patterns_overlap(pattern, other) == path_patterns_overlap(other, pattern));
    require(path_patterns_overlap(pattern, pattern));
    if (!path_pattern_fits(pattern, path))
        return 0;
    check_values(pattern, path);
    if (path_pattern_fits(other, path))
        require(path_patterns_overlap(pattern, other));
    return 0;
}
