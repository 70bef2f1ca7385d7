/* base64.c - for libjwt; see base64.h. */
#include "base64.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>

int jwt_Base64encode(char *out, const char *bytes, int length)
{
    return EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)bytes, length) + 1;
}

int jwt_Base64decode(char *out, const char *text)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    unsigned count = 0;
    int written = 0;
    for (const char *found; *text && (found = strchr(alphabet, *text)); text++) {
        bits = bits << 6 | (uint32_t)(found - alphabet);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[written++] = (char)(bits >> count & 0xff);
        }
    }
    return written;
}
