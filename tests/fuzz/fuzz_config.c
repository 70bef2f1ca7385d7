/* fuzz_config.c - any bytes as a configuration file: read through the server's own table, printed, and read back. */
#include <assert.h>

#include "server/app/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct options options;
    struct option_sources sources;
    struct buf messages = {0};
    struct buf out = {0};
    struct str text = str_from((const char *)bytes, len);
    if (memmem(text.ptr, text.len, "_file", 5)) /* would read files of this machine */
        return 0;
    if (options_load_text(&options_table, "fuzz.jsonc", text, &options, &sources, &messages) == ERR_NONE) {
        options_validate(&options, &sources, &messages);
        options_advise(&options, &sources, &messages);
        options_print(&options_table, &options, &sources, &out);
        assert(out.len > 0);
        options_fini(&options_table, &options);
        option_sources_fini(&sources);
    } else {
        assert(messages.len > 0); /* nothing is refused without a word */
    }
    buf_fini(&messages);
    buf_fini(&out);
    return 0;
}
