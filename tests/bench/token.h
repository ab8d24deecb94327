#include <stddef.h>

/* Loads the module, logs in and finds the private key; ends the process if that fails. */
void token_open(char *path, char *label, char *pin_file, char *key_label, int rsa);

/* Signs a digest that holds this number, with one C_SignInit and one C_Sign; gives the digest. */
const unsigned char *token_sign(long number, unsigned char *signature, size_t *length);
