/* authorities.h - the certificates of authorities that this machine trusts, for a program with OpenSSL inside. That
 * OpenSSL does not know where the machine keeps them. One with the machine's own OpenSSL does not need this. */
#ifndef CARILLON_CLI_AUTHORITIES_H
#define CARILLON_CLI_AUTHORITIES_H

/* Sets SSL_CERT_FILE to the machine's file, where neither it nor SSL_CERT_DIR is set. OpenSSL and libcurl read it. Call
 * it before threads start. */
void authorities_find(void);

#endif
