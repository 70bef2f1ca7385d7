/* base64.h - what libjwt expects under this name. Debian's sources of libjwt come without it. */
#ifndef CARILLON_LIBJWT_BASE64_H
#define CARILLON_LIBJWT_BASE64_H

/* Writes the text, its padding and a NUL. Returns the length with the NUL. */
int jwt_Base64encode(char *out, const char *bytes, int length);

/* Reads up to the first character that is not of the alphabet: padding, or the NUL. Writes at most three bytes for each
 * four characters. Returns how many. */
int jwt_Base64decode(char *out, const char *text);

#endif
