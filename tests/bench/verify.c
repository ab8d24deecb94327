/* Verifies signatures with the system's libcrypto, loaded at run time: no headers of it are needed to build this. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include "verify.h"

static void *(*file_bio)(const char *, const char *);
static void *(*read_public)(void *, void *, void *, void *);
static void *(*new_context)(void *, void *);
static int (*init)(void *);
static int (*control)(void *, const char *, const char *);
static int (*check)(void *, const unsigned char *, size_t, const unsigned char *, size_t);

static void *context;
static int is_rsa;

static int load(void)
{
    void *library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        library = dlopen("libcrypto.so.1.1", RTLD_NOW | RTLD_LOCAL);
    return library != NULL
        && (*(void **)&file_bio = dlsym(library, "BIO_new_file")) != NULL
        && (*(void **)&read_public = dlsym(library, "PEM_read_bio_PUBKEY")) != NULL
        && (*(void **)&new_context = dlsym(library, "EVP_PKEY_CTX_new")) != NULL
        && (*(void **)&init = dlsym(library, "EVP_PKEY_verify_init")) != NULL
        && (*(void **)&control = dlsym(library, "EVP_PKEY_CTX_ctrl_str")) != NULL
        && (*(void **)&check = dlsym(library, "EVP_PKEY_verify")) != NULL;
}

int verify_open(const char *pem, int rsa)
{
    void *file, *key;
    is_rsa = rsa;
    if (!load() || (file = file_bio(pem, "r")) == NULL || (key = read_public(file, NULL, NULL, NULL)) == NULL)
        return 0;
    context = new_context(key, NULL);
    if (context == NULL || init(context) != 1)
        return 0;
    return !rsa || (control(context, "rsa_padding_mode", "pkcs1") == 1 && control(context, "digest", "sha256") == 1);
}

/* One INTEGER of ECDSA-Sig-Value out of 32 octets: no leading zeros but for a sign octet. */
static size_t integer(unsigned char *to, const unsigned char *from)
{
    size_t size = 32, pad;
    while (size > 1 && *from == 0) {
        from++;
        size--;
    }
    pad = *from >> 7;
    to[0] = 2;
    to[1] = (unsigned char)(size + pad);
    to[2] = 0;
    memcpy(to + 2 + pad, from, size);
    return 2 + pad + size;
}

int verify_signature(const unsigned char *digest, const unsigned char *signature, size_t length)
{
    unsigned char der[80];
    size_t size;
    if (is_rsa)
        return check(context, signature, length, digest, 32) == 1;
    if (length != 64)
        return 0;
    size = 2 + integer(der + 2, signature);
    size += integer(der + size, signature + 32);
    der[0] = 0x30;
    der[1] = (unsigned char)(size - 2);
    return check(context, der, size, digest, 32) == 1;
}
