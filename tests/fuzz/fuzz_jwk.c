/* fuzz_jwk.c - bytes as a key file: JWK, JWK set or PEM. */
#include <stdlib.h>

#include "common/token/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct error error = {0};
    struct token_keys *keys = token_keys_create();
    enum err err = token_keys_add_file_text(keys, "fuzz", STR(""), 0, str_from((const char *)bytes, len), &error);
    if ((err == ERR_NONE) != (token_keys_count(keys) > 0) || (err == ERR_NONE) != (error.text[0] == '\0'))
        abort();
    token_keys_unref(keys);
    return 0;
}
