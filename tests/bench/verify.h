#include <stddef.h>

/* Reads a public key. 0 if that, or loading libcrypto, failed. */
int verify_open(const char *pem, int rsa);

/* 1 if the signature over a SHA-256 digest is right: PKCS#1 v1.5, or r and s of P-256 side by side. */
int verify_signature(const unsigned char *digest, const unsigned char *signature, size_t length);
