/* fingerprint.c - see fingerprint.h. */
#include "common/token/fingerprint.h"

#include <openssl/sha.h>

void fingerprint_of(struct str text, char out[FINGERPRINT_BYTES])
{
    SHA256((const unsigned char *)text.ptr, text.len, (unsigned char *)out);
}
