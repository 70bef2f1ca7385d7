/* epoch.c - see epoch.h. */
#include "server/broker/epoch.h"

#include "common/base/random.h"

void epoch_new(char out[EPOCH_NEW_LEN + 1])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char bytes[EPOCH_NEW_LEN];
    random_bytes(bytes, sizeof bytes);
    for (int i = 0; i < EPOCH_NEW_LEN; i++)
        out[i] = alphabet[bytes[i] & 31];
    out[EPOCH_NEW_LEN] = '\0';
}
