/* fingerprint.h - the SHA-256 of a secret text. It names the text in tables that must not have the text itself. Any
 * thread. */
#ifndef CARILLON_TOKEN_FINGERPRINT_H
#define CARILLON_TOKEN_FINGERPRINT_H

#include "common/base/str.h"

enum { FINGERPRINT_BYTES = 32 };

void fingerprint_of(struct str text, char out[FINGERPRINT_BYTES]);

#endif
