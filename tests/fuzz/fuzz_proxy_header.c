/* fuzz_proxy_header.c - PROXY protocol headers, versions 1 and 2. */
#include <stdlib.h>

#include "common/protocol/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct proxy_header header, shorter;
    struct error error;
    struct str input = str_from((const char *)bytes, len);
    enum proxy_result result = proxy_header_parse(input, &header, &error);
    if (result == PROXY_NEED_MORE && len >= PROXY_HEADER_MAX)
        abort();
    if (result != PROXY_DONE)
        return 0;
    /* Exactly length bytes decide, no fewer. */
    if (header.length > len || header.has_address != (header.address[0] != '\0'))
        abort();
    if (proxy_header_parse(str_from(input.ptr, header.length), &shorter, &error) != PROXY_DONE ||
        proxy_header_parse(str_from(input.ptr, header.length - 1), &shorter, &error) != PROXY_NEED_MORE)
        abort();
    return 0;
}
